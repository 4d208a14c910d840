//! The servers behind a machine on a stage: what they were asked, and what they reply.

use serde_json::Value;
use understudy_core::{CallId, HttpFailureKind};

use super::Stage;
use super::story::Line;
use crate::world::backend::{Events, HttpCall};
use crate::world::fact::Purpose;

/// An HTTP request as it left.
#[derive(Clone, Debug)]
pub struct Request {
    call: CallId,
    purpose: Purpose,
    /// Where to.
    pub url: String,
    /// Its headers, secrets included, in order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Request {
    pub(super) fn of(http: &HttpCall) -> Self {
        let request = &http.request;
        let header = |(name, value): &(String, understudy_core::HeaderText)| {
            (name.clone(), value.expose().to_owned())
        };
        Self {
            call: http.call,
            purpose: http.sent.purpose,
            url: request.url.clone(),
            headers: request.headers.iter().map(header).collect(),
            body: request.body.iter().map(|piece| &**piece).collect(),
        }
    }

    /// A header's value, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The token that it carries.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Whether a turn sends it to the model.
    pub fn is_turn(&self) -> bool {
        self.purpose == Purpose::Turn
    }
}

/// What a reply says.
#[derive(Clone, Debug)]
enum Body {
    /// This text.
    Text(String),
    /// The model says something and is done.
    Say(String),
    /// The model calls a tool.
    Call { name: String, arguments: String },
    /// Nobody is there.
    Unreachable,
}

/// A reply of a backend.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    piece: usize,
    /// The connection breaks after so many bytes.
    cut: Option<usize>,
}

impl Reply {
    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body, piece: usize::MAX, cut: None }
    }

    /// The model says this, and its turn is over.
    pub fn say(text: impl Into<String>) -> Self {
        Self::new(200, Body::Say(text.into()))
    }

    /// The model calls a tool with these arguments; the turn goes on with another request.
    pub fn call(tool: impl Into<String>, arguments: &Value) -> Self {
        let (name, arguments) = (tool.into(), arguments.to_string());
        Self::new(200, Body::Call { name, arguments })
    }

    /// A refusal with this status.
    pub fn status(status: u16) -> Self {
        let text = format!(r#"{{"error":{{"message":"scripted refusal {status}"}}}}"#);
        Self::new(status, Body::Text(text))
    }

    /// This JSON.
    pub fn json(status: u16, value: &Value) -> Self {
        Self::new(status, Body::Text(value.to_string()))
    }

    /// This text, for example a stream of events of the test's own.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, Body::Text(text.into()))
    }

    /// There is no connection.
    pub fn unreachable() -> Self {
        Self::new(0, Body::Unreachable)
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// The body arrives in pieces of so many bytes.
    #[must_use]
    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        self
    }

    /// The connection breaks after so many bytes of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }
}

/// A part of a reply that is on its way.
#[derive(Debug)]
pub(super) enum Part {
    Head(u16, Vec<(String, String)>),
    Bytes(Vec<u8>),
    End,
    Failed(HttpFailureKind),
}

/// The servers that the machine on a stage sends requests to.
pub struct Backend<'a> {
    pub(super) stage: &'a mut Stage,
}

impl Backend<'_> {
    /// Requests of turns get these replies, in order, as soon as they are sent; one that waits
    /// already gets the first.
    pub fn script(&mut self, replies: impl IntoIterator<Item = Reply>) {
        self.stage.script.extend(replies);
        self.stage.settle();
    }

    /// Every request that was sent, oldest first.
    pub fn requests(&self) -> &[Request] {
        &self.stage.requests
    }

    /// The oldest request of a turn that has no reply.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn next_request(&self) -> Request {
        match self.waiting().find(Request::is_turn) {
            Some(request) => request,
            None => self.stage.fail("no request of a turn waits for a reply"),
        }
    }

    /// The oldest request without a reply whose address ends like this.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn next_request_to(&self, end: &str) -> Request {
        match self.waiting().find(|request| request.url.ends_with(end)) {
            Some(request) => request,
            None => self.stage.fail(&format!("no request to {end} waits for a reply")),
        }
    }

    /// Checks that no request of a turn waits for a reply.
    ///
    /// # Panics
    /// If one does.
    #[track_caller]
    pub fn expect_no_request(&self) {
        if let Some(request) = self.waiting().find(Request::is_turn) {
            self.stage.fail(&format!("a request to {} waits for a reply", request.url));
        }
    }

    fn waiting(&self) -> impl Iterator<Item = Request> {
        let open = self.stage.world.http().iter().filter(|http| http.answer.is_none());
        open.map(Request::of)
    }

    /// A whole reply arrives.
    #[track_caller]
    pub fn reply(&mut self, request: &Request, reply: &Reply) {
        self.stage.deliver(request.call, reply);
        self.stage.settle();
    }

    /// The head of a reply arrives.
    #[track_caller]
    pub fn head(&mut self, request: &Request, status: u16, headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(n, v)| (n.to_ascii_lowercase(), (*v).to_owned()));
        self.send(request, Part::Head(status, headers.collect()));
    }

    /// Some of its body arrives, cut anywhere.
    #[track_caller]
    pub fn piece(&mut self, request: &Request, bytes: impl AsRef<[u8]>) {
        self.send(request, Part::Bytes(bytes.as_ref().to_vec()));
    }

    /// Its body is complete.
    #[track_caller]
    pub fn end(&mut self, request: &Request) {
        self.send(request, Part::End);
    }

    /// The connection breaks.
    #[track_caller]
    pub fn cut(&mut self, request: &Request) {
        self.send(request, Part::Failed(HttpFailureKind::Body));
    }

    #[track_caller]
    fn send(&mut self, request: &Request, part: Part) {
        if !self.stage.world.http().iter().any(|http| http.call == request.call) {
            let text = format!("nobody waits for a reply from {} any more", request.url);
            self.stage.fail(&text);
        }
        self.stage.on_way.push_back((request.call, part));
        self.stage.settle();
    }
}

impl Stage {
    /// A reply is on its way.
    pub(super) fn deliver(&mut self, call: CallId, reply: &Reply) {
        self.replies += 1;
        let mut events = Events::begin(self.replies);
        let body = match &reply.body {
            Body::Unreachable => {
                let failed = Part::Failed(HttpFailureKind::Connect);
                return self.on_way.push_back((call, failed));
            }
            Body::Text(text) => text.clone(),
            Body::Say(text) => events.message(self.replies, text).complete(self.replies).text(),
            Body::Call { name, arguments } => {
                events.call(self.replies, name, arguments).complete(self.replies).text()
            }
        };
        self.on_way.push_back((call, Part::Head(reply.status, reply.headers.clone())));
        let end = reply.cut.map_or(body.len(), |cut| cut.min(body.len()));
        let bytes = &body.as_bytes()[..end];
        for piece in bytes.chunks(reply.piece) {
            self.on_way.push_back((call, Part::Bytes(piece.to_vec())));
        }
        let last = match reply.cut {
            Some(_) => Part::Failed(HttpFailureKind::Body),
            None => Part::End,
        };
        self.on_way.push_back((call, last));
    }

    /// The next part of a reply arrives; whether there was one that the machine wants.
    pub(super) fn deliver_part(&mut self) -> bool {
        let is_last = match self.on_way.front() {
            None => return false,
            Some((_, part)) => matches!(part, Part::End | Part::Failed(_)),
        };
        if !is_last && !self.world.machine().wants_input() {
            return false;
        }
        let Some((call, part)) = self.on_way.pop_front() else { return false };
        let text = match &part {
            Part::Head(status, _) => format!("status {status}"),
            Part::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Part::End => "the end".to_owned(),
            Part::Failed(kind) => format!("no (whole) reply: {kind:?}"),
        };
        self.note(Line::Replies, &text);
        match part {
            Part::Head(status, headers) => self.world.open_answer(call, status, headers),
            Part::Bytes(bytes) => self.world.push_answer(call, &bytes),
            Part::End => self.world.close_answer(call),
            Part::Failed(kind) => self.world.fail(call, kind),
        }
        true
    }
}
