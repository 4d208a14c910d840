//! Owns: how a fact reads in a few words, for the transcript of the demo.
//!
//! Never: lays out or colours anything (see `screen`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::backend::reason;
use super::seen::Seen;
use super::tokens::shortened;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    HostToServer,
    ServerToHost,
    ServerToBackend,
    BackendToServer,
}

/// One message, ready to be drawn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Caption {
    pub(super) way: Way,
    /// Stands on the arrow.
    pub(super) title: String,
    /// Stands below it.
    pub(super) details: Vec<String>,
    pub(super) is_error: bool,
}

impl Caption {
    fn new(way: Way, title: impl Into<String>) -> Self {
        Self {
            way,
            title: shortened(&title.into()),
            details: Vec::new(),
            is_error: false,
        }
    }

    fn detail(mut self, text: impl AsRef<str>) -> Self {
        self.details.push(shortened(text.as_ref()));
        self
    }

    fn error(mut self) -> Self {
        self.is_error = true;
        self
    }
}

/// Knows which answer belongs to which request.
#[derive(Default)]
pub(super) struct Captions {
    asked_by_host: BTreeMap<String, String>,
}

impl Captions {
    /// The fact's caption; none for what only adds noise to the story.
    pub(super) fn of(&mut self, fact: &Seen) -> Option<Caption> {
        match fact {
            Seen::Host(line) => self.of_host(line.json.as_ref()?),
            Seen::Server(line) => self.of_server(line.json.as_ref()?),
            Seen::HostEnded => Some(Caption::new(Way::HostToServer, "(closes the input)")),
            Seen::ServerEnded => Some(Caption::new(Way::ServerToHost, "(ends)")),
            Seen::Asked(request) => {
                let title = format!("{} {}", request.method, request.bare_path());
                let account = request.header("chatgpt-account-id").unwrap_or("none");
                let caption = Caption::new(Way::ServerToBackend, title)
                    .detail(format!("Bearer {}", request.bearer()))
                    .detail(format!("account {account}"));
                Some(caption)
            }
            Seen::Answered { status, body } => {
                let caption = Caption::new(
                    Way::BackendToServer,
                    format!("{status} {}", reason(*status)),
                );
                Some(match body {
                    Some(body) if *status >= 400 => {
                        caption.detail(text_at(body, "/error/message")).error()
                    }
                    _ => caption,
                })
            }
            Seen::Event(event) => (event["type"] == "response.output_text.delta")
                .then(|| Caption::new(Way::BackendToServer, quoted(event, "/delta"))),
        }
    }

    fn of_host(&mut self, message: &Value) -> Option<Caption> {
        let Some(method) = message["method"].as_str() else {
            return Some(match message.get("error") {
                Some(error) => Caption::new(Way::HostToServer, text_at(error, "/message")).error(),
                None => {
                    let access = text_at(message, "/result/accessToken");
                    Caption::new(Way::HostToServer, format!("new tokens: {access}"))
                }
            });
        };
        if let Some(id) = message.get("id") {
            self.asked_by_host.insert(id.to_string(), method.to_owned());
        }
        let params = &message["params"];
        let words = match method {
            "account/login/start" => match params["type"].as_str() {
                Some("apiKey") => text_at(params, "/apiKey"),
                _ => text_at(params, "/accessToken"),
            },
            "turn/start" => quoted(params, "/input/0/text"),
            _ => String::new(),
        };
        Some(Caption::new(
            Way::HostToServer,
            format!("{method} {words}").trim_end(),
        ))
    }

    fn of_server(&mut self, message: &Value) -> Option<Caption> {
        match (message["method"].as_str(), message.get("id")) {
            (Some(method), Some(_)) => {
                let reason = text_at(message, "/params/reason");
                let account = text_at(message, "/params/previousAccountId");
                let caption = Caption::new(Way::ServerToHost, method);
                Some(caption.detail(format!("reason {reason}, account {account}")))
            }
            (Some(method), None) => of_notice(method, &message["params"]),
            (None, id) => {
                let method = self
                    .asked_by_host
                    .remove(&id.unwrap_or(&Value::Null).to_string());
                Some(of_answer(&method.unwrap_or_default(), message))
            }
        }
    }
}

fn of_notice(method: &str, params: &Value) -> Option<Caption> {
    let words = match method {
        "thread/started" | "turn/started" => String::new(),
        "account/login/completed" => format!("success: {}", params["success"]),
        "account/updated" => plain(&params["authMode"]),
        "item/started" | "item/completed" => text_at(params, "/item/type"),
        "item/agentMessage/delta" => quoted(params, "/delta"),
        "turn/completed" => text_at(params, "/turn/status"),
        "error" => text_at(params, "/error/message"),
        _ => return None,
    };
    Some(Caption::new(
        Way::ServerToHost,
        format!("{method} {words}").trim_end(),
    ))
}

fn of_answer(method: &str, message: &Value) -> Caption {
    if let Some(error) = message.get("error") {
        let title = format!("error {}", error["code"]);
        return Caption::new(Way::ServerToHost, title)
            .detail(text_at(error, "/message"))
            .error();
    }
    let result = &message["result"];
    let words = match method {
        "initialize" => first_word(&text_at(result, "/userAgent")),
        "account/login/start" => text_at(result, "/type"),
        "account/read" => match result["account"].as_object() {
            Some(_) => text_at(result, "/account/email"),
            None => "account: null (nobody)".to_owned(),
        },
        "thread/start" => format!("thread {}", short_id(&text_at(result, "/thread/id"))),
        "turn/start" => format!("turn {}", short_id(&text_at(result, "/turn/id"))),
        _ => result.to_string(),
    };
    Caption::new(Way::ServerToHost, format!("ok {words}"))
}

fn text_at(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map(plain).unwrap_or_default()
}

fn first_word(text: &str) -> String {
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A UUID by both its ends: those of one moment begin alike.
fn short_id(id: &str) -> String {
    match (id.get(..8), id.get(id.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) if id.len() > 14 => format!("{start}…{end}"),
        _ => id.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(value: &Value, pointer: &str) -> String {
    format!("“{}”", text_at(value, pointer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::seen::Line;
    use super::*;

    fn line(value: &Value) -> Line {
        Line {
            text: value.to_string(),
            json: Some(value.clone()),
        }
    }

    #[test]
    fn an_answer_is_told_by_the_request_that_it_belongs_to() {
        let mut captions = Captions::default();
        let asked = json!({"id": 7, "method": "account/read", "params": {}});
        captions.of(&Seen::Host(line(&asked)));
        let answer = json!({"id": 7, "result": {"account": null}});
        let caption = captions.of(&Seen::Server(line(&answer)));
        assert_eq!(
            caption.map(|c| c.title),
            Some("ok account: null (nobody)".to_owned())
        );
    }

    #[test]
    fn legacy_events_are_left_out() {
        let event = json!({"method": "codex/event/token_count", "params": {}});
        assert_eq!(Captions::default().of(&Seen::Server(line(&event))), None);
    }
}
