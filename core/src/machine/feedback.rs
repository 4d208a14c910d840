//! `feedback/upload`: what a user thinks of the server, sent to the place that the configuration
//! names and to no other (config.md §6.2). Nothing is sent while it names none.

use serde::Serialize;

use super::Machine;
use crate::effect::{Call, CallId, HeaderText, HttpRequest, Method};
use crate::exchange::Exchange;
use crate::input::Outcome;
use crate::limits;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::thread;
use crate::wire::PROTOCOL_VERSION;
use crate::wire::refusal::Refusal;
use crate::wire::v2::feedback::{FeedbackUploadParams, FeedbackUploadResponse};

/// Feedback on its way.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Feedback {
    ticket: Ticket,
    /// Names the report.
    id: String,
    stage: Stage,
}

#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
enum Stage {
    /// The last lines of the log are asked for.
    Logs(FeedbackUploadParams),
    Sending(Exchange),
}

/// What is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    report_id: &'a str,
    classification: &'a str,
    reason: Option<&'a str>,
    thread_id: Option<&'a str>,
    protocol_version: &'static str,
    server_version: &'static str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logs: Option<&'a str>,
}

impl Machine {
    /// `feedback/upload`. The reply comes when the place has taken it.
    pub(super) fn upload_feedback(&mut self, ticket: Ticket, params: FeedbackUploadParams) {
        if self.feedback_url().is_none() {
            let text = "sending feedback is disabled by configuration";
            return self.out.refuse(ticket, &Refusal::invalid(text));
        }
        let id = match params.thread_id.as_deref().map(thread::parse_id) {
            None => format!("no-active-thread-{}", self.out.rng.uuid_v4()),
            Some(Ok(thread)) => thread.0.to_string(),
            Some(Err(refusal)) => return self.out.refuse(ticket, &refusal),
        };
        if params.include_logs {
            let call = self.out.start(Call::Logs, CallOwner::Feedback);
            let stage = Stage::Logs(params);
            self.feedback.insert(call, Feedback { ticket, id, stage });
        } else {
            self.send_feedback(ticket, id, &params, None);
        }
    }

    /// Where feedback goes, if it may go anywhere.
    fn feedback_url(&self) -> Option<&str> {
        let telemetry = &self.config.as_ref()?.telemetry;
        telemetry.feedback_url.as_deref().filter(|_| telemetry.feedback)
    }

    fn send_feedback(
        &mut self,
        ticket: Ticket,
        id: String,
        params: &FeedbackUploadParams,
        logs: Option<&str>,
    ) {
        let Some(url) = self.feedback_url().map(str::to_owned) else { return };
        let report = Report {
            report_id: &id,
            classification: &params.classification,
            reason: params.reason.as_deref(),
            thread_id: params.thread_id.as_deref(),
            protocol_version: PROTOCOL_VERSION,
            server_version: env!("CARGO_PKG_VERSION"),
            user_agent: self.session.user_agent(),
            logs,
        };
        let body = serde_json::to_string(&report).unwrap_or_default();
        let kind = HeaderText::Plain("application/json".to_owned());
        let request = HttpRequest {
            method: Method::Post,
            url,
            headers: vec![("content-type".to_owned(), kind)],
            body: vec![body.into()],
            head_limit: None,
            total_limit: Some(limits::FEEDBACK_LIMIT),
        };
        let bytes_max = limits::ERROR_BODY_BYTES_MAX;
        let exchange = Exchange::start(&mut self.out, request, CallOwner::Feedback, bytes_max);
        let call = exchange.id();
        let stage = Stage::Sending(exchange);
        self.feedback.insert(call, Feedback { ticket, id, stage });
    }

    /// An answer about feedback: the lines of the log, or a part of what its place says.
    pub(super) fn on_feedback(&mut self, call: CallId, outcome: Outcome<'_>) {
        let Some(mut feedback) = self.feedback.remove(&call) else { return };
        match (&mut feedback.stage, outcome) {
            (Stage::Logs(params), outcome) => {
                let logs = match &outcome {
                    Outcome::Logs(text) => text.as_str(),
                    // A report without its log is better than none.
                    _ => "",
                };
                let Feedback { ticket, id, .. } = feedback;
                self.send_feedback(ticket, id, params, Some(logs));
            }
            (Stage::Sending(exchange), outcome) => {
                let Some(reply) = exchange.on(&mut self.out, outcome) else {
                    self.feedback.insert(call, feedback);
                    return;
                };
                let Feedback { ticket, id, .. } = feedback;
                let failed = |detail: String| {
                    Refusal::internal(format!("failed to upload feedback: {detail}"))
                };
                match reply {
                    Ok(response) if response.is_success() => {
                        self.out.reply(ticket, FeedbackUploadResponse { thread_id: id });
                    }
                    Ok(response) => {
                        let status = response.head.status;
                        let detail = format!("the place for it answered with status {status}");
                        self.out.refuse(ticket, &failed(detail));
                    }
                    Err(failure) => self.out.refuse(ticket, &failed(failure.text)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::effect::{Call, CallId};
    use crate::files::MemoryFiles;
    use crate::input::{HttpHead, Outcome};
    use crate::machine::bench::Bench;
    use crate::{HttpFailure, HttpFailureKind, Input};

    fn bench(config: &str) -> Bench {
        Bench::with(MemoryFiles::new().with("/h/config.toml", config))
    }

    const PLACE: &str = "understudy.feedback_url = 'http://place/'\n";

    fn params(logs: bool) -> Value {
        json!({"classification": "bug", "reason": "it broke", "threadId": null, "includeLogs": logs})
    }

    /// The request that is out, with its body.
    fn sent(bench: &Bench) -> (CallId, String, Value) {
        match bench.calls.last() {
            Some((id, Call::Http(request))) => {
                let body = serde_json::from_str(&request.body.concat()).expect("JSON");
                (*id, request.url.clone(), body)
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(bench: &mut Bench, status: u16) -> Value {
        let (id, ..) = sent(bench);
        let head = HttpHead { status, headers: Vec::new() };
        bench.input(Input::Done(id, Outcome::HttpHead(head)));
        bench.input(Input::Done(id, Outcome::HttpEnd));
        bench.answered().remove(0)
    }

    #[test]
    fn nothing_is_sent_unless_a_place_is_configured() {
        for config in ["", "understudy.feedback_url = 'http://place/'\nfeedback.enabled = false"] {
            let mut bench = bench(config);
            bench.ask(1, "feedback/upload", params(true));
            let error = bench.answered()[0]["error"].clone();
            let text = "sending feedback is disabled by configuration";
            assert_eq!(error, json!({"code": -32600, "message": text}));
            assert!(bench.calls.is_empty());
        }
    }

    #[test]
    fn feedback_goes_to_its_place_without_credentials() {
        let mut bench = bench(PLACE);
        bench.files.put("/h/auth.json", r#"{"OPENAI_API_KEY": "sk-1"}"#);
        bench.ask(1, "feedback/upload", params(false));
        let (_, url, body) = sent(&bench);
        assert_eq!(url, "http://place/");
        assert_eq!((&body["classification"], &body["reason"]), (&json!("bug"), &json!("it broke")));
        assert_eq!(body.get("logs"), None);
        let reply = answer(&mut bench, 204);
        let id = reply["result"]["threadId"].as_str().expect("an id");
        assert!(id.starts_with("no-active-thread-") && body["reportId"] == id, "{reply}");
    }

    #[test]
    fn logs_go_with_it_if_they_are_wanted() {
        let mut bench = bench(PLACE);
        bench.ask(1, "feedback/upload", params(true));
        let Some((id, Call::Logs)) = bench.calls.last() else { panic!("{:?}", bench.calls) };
        let id = *id;
        bench.input(Input::Done(id, Outcome::Logs("a line\n".to_owned())));
        assert_eq!(sent(&bench).2["logs"], "a line\n");
        assert_eq!(answer(&mut bench, 500)["error"]["code"], -32603);
    }

    #[test]
    fn what_fails_is_said() {
        let mut bench = bench(PLACE);
        let wrong = json!({"classification": "bug", "threadId": "x", "includeLogs": false});
        bench.ask(1, "feedback/upload", wrong);
        let text = bench.answered()[0]["error"]["message"].to_string();
        assert!(text.contains("invalid thread id: "), "{text}");
        bench.ask(2, "feedback/upload", params(false));
        let (id, ..) = sent(&bench);
        let failure = HttpFailure { kind: HttpFailureKind::Connect, text: "no way".to_owned() };
        bench.input(Input::Done(id, Outcome::HttpFailed(failure)));
        let error = bench.answered()[0]["error"].clone();
        let text = "failed to upload feedback: no way";
        assert_eq!(error, json!({"code": -32603, "message": text}));
    }
}
