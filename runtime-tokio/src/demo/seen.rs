//! Owns: what an onlooker sees, one fact after the other, on both sides of the server.
//!
//! Host and backend put their facts on one channel, so that they can be told in one order. The
//! texts are kept as they went over the wire; parsing happens once.

use serde_json::Value;

/// A line between host and server.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line as it was written, without its end.
    pub text: String,
    /// What it says, if it is JSON.
    pub json: Option<Value>,
}

impl Line {
    /// A line that came off a pipe; bytes that are no UTF-8 are replaced.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            text: String::from_utf8_lossy(bytes).into_owned(),
            json: serde_json::from_slice(bytes).ok(),
        }
    }
}

/// A request that reached the backend.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub body: Option<Value>,
    /// The body as it came.
    pub text: String,
    /// When the last byte was read.
    pub at: std::time::Instant,
}

impl Request {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text after `Bearer `; empty without one.
    pub fn bearer(&self) -> &str {
        self.header("authorization").and_then(|v| v.strip_prefix("Bearer ")).unwrap_or_default()
    }

    /// The path without its query.
    pub fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// Is a model asked here, and not for instance the list of models?
    pub fn asks_model(&self) -> bool {
        self.method == "POST" && self.bare_path().ends_with("/responses")
    }
}

/// One fact.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The host wrote a line.
    Host(Line),
    /// The host closed the server's input.
    HostEnded,
    /// The server wrote a line.
    Server(Line),
    /// The server's output ended.
    ServerEnded,
    /// A request reached the backend.
    Asked(Request),
    /// The backend began its answer; the body of a stream follows as events.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body, unless it is a stream.
        body: Option<Value>,
    },
    /// The backend sent one event of a stream.
    Event(Value),
}

impl Seen {
    /// The fact as a line of JSON for `--json`; none for an end.
    ///
    /// Lines of host and server are passed on untouched under `line` (as a string under `text`
    /// when they are no JSON).
    pub fn to_json(&self) -> Option<String> {
        let between = |from: &str, to: &str, line: &Line| {
            let rest = match &line.json {
                Some(_) => format!(r#""line":{}"#, line.text),
                None => format!(r#""text":{}"#, Value::from(line.text.as_str())),
            };
            format!(r#"{{"from":"{from}","to":"{to}",{rest}}}"#)
        };
        Some(match self {
            Seen::Host(line) => between("host", "server", line),
            Seen::Server(line) => between("server", "host", line),
            Seen::HostEnded | Seen::ServerEnded => return None,
            Seen::Asked(request) => {
                let headers: serde_json::Map<String, Value> =
                    request.headers.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
                format!(
                    r#"{{"from":"server","to":"backend","method":{},"path":{},"headers":{},"body":{}}}"#,
                    Value::from(request.method.as_str()),
                    Value::from(request.path.as_str()),
                    Value::from(headers),
                    request.body.as_ref().unwrap_or(&Value::Null),
                )
            }
            Seen::Answered { status, body } => format!(
                r#"{{"from":"backend","to":"server","status":{status},"body":{}}}"#,
                body.as_ref().unwrap_or(&Value::Null),
            ),
            Seen::Event(event) => {
                format!(r#"{{"from":"backend","to":"server","event":{event}}}"#)
            }
        })
    }
}

/// Something did not go as it should; the text says what, for a person.
#[derive(Clone)]
pub struct Trouble(pub String);

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
