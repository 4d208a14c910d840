//! Owns: what a replay does, told as messages between the server and those around it.
//!
//! Inputs and effects come in chunks and calls; here they are messages again: lines of the host,
//! events of a stream, bodies, commands with their output. Whoever reads sees who said what to whom.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use understudy_core::trace::{Deed, Lane, Played, Recording};

/// Bytes of one message that are kept to be looked at.
const DETAIL_BYTES_MAX: usize = 64 << 10;
/// Bytes of a body or a line that is put together before it is cut.
const PARTIAL_BYTES_MAX: usize = 4 << 20;

/// Who says something, or is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Host,
    Server,
    Backend,
    Files,
    Processes,
    Browser,
}

impl Party {
    pub(super) const ALL: [Party; 6] = [
        Party::Host,
        Party::Server,
        Party::Backend,
        Party::Files,
        Party::Processes,
        Party::Browser,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Party::Host => "host",
            Party::Server => "server",
            Party::Backend => "backend",
            Party::Files => "files",
            Party::Processes => "processes",
            Party::Browser => "browser",
        }
    }

    fn of(lane: Lane) -> Self {
        match lane {
            Lane::Host => Party::Host,
            Lane::Backend => Party::Backend,
            Lane::Files => Party::Files,
            Lane::Processes => Party::Processes,
            Lane::Browser => Party::Browser,
            Lane::Machine => Party::Server,
        }
    }
}

/// What a message is, for those who want to see less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Request,
    Reply,
    Error,
    Notice,
    /// One of many small parts of something.
    Delta,
    /// A notification of the older dialect, which repeats another one.
    Legacy,
    /// The work of a call: its start, its answers, its end.
    Work,
    /// Timers, and bytes that were taken.
    Upkeep,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Request => "request",
            Sort::Reply => "reply",
            Sort::Error => "error",
            Sort::Notice => "notice",
            Sort::Delta => "delta",
            Sort::Legacy => "legacy",
            Sort::Work => "work",
            Sort::Upkeep => "upkeep",
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) step: usize,
    /// Since the session began.
    pub(super) at: Duration,
    pub(super) from: Party,
    pub(super) to: Party,
    pub(super) sort: Sort,
    pub(super) title: String,
    /// All that was said, as far as it is kept.
    pub(super) detail: String,
    /// What has the same one belongs together: a request and its reply, a call and its answers.
    pub(super) thread: Option<String>,
    /// What is other than it was recorded.
    pub(super) difference: Option<String>,
}

impl Entry {
    /// From whom to whom.
    pub(super) fn way(&self) -> String {
        if self.from == self.to {
            return self.from.name().to_owned();
        }
        format!("{}→{}", self.from.name(), self.to.name())
    }
}

/// Follows a session.
#[derive(Debug, Default)]
pub(super) struct Chart {
    /// The host's line that is not whole.
    line: Vec<u8>,
    calls: BTreeMap<u64, Open>,
    /// Methods of requests without a reply: the host's and the server's.
    asked: BTreeMap<(bool, String), String>,
}

/// A call that goes on.
#[derive(Debug)]
struct Open {
    party: Party,
    title: String,
    /// Its body is events, one a line.
    is_stream: bool,
    /// What is not whole.
    partial: Vec<u8>,
}

impl Chart {
    /// What one step adds.
    pub(super) fn entries(&mut self, recording: &Recording, played: &Played) -> Vec<Entry> {
        let at = played.now.mono.saturating_sub(recording.begun().mono);
        let mut entries = self.of_given(&played.given);
        for deed in &played.deeds {
            entries.push(self.of_deed(deed));
        }
        for line in played.output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            entries.push(self.of_message(false, line));
        }
        if entries.is_empty() && played.difference.is_some() {
            entries.push(of_server(played.given.title.clone(), Sort::Upkeep));
        }
        for entry in &mut entries {
            (entry.step, entry.at) = (played.step, at);
        }
        if let (Some(last), Some(difference)) = (entries.last_mut(), &played.difference) {
            last.difference = Some(difference.to_string());
        }
        entries
    }

    fn of_given(&mut self, given: &Deed) -> Vec<Entry> {
        match (given.lane, given.call) {
            (Lane::Host, None) if !given.body.is_empty() => self.of_host(&given.body),
            (Lane::Host, None) => {
                let sort = if given.title.starts_with("took") { Sort::Upkeep } else { Sort::Work };
                vec![entry(Party::Host, Party::Server, sort, given.title.clone())]
            }
            (_, Some(call)) => self.of_answer(call, given),
            _ => {
                let sort = if given.title.starts_with("timer") { Sort::Upkeep } else { Sort::Work };
                vec![Entry { detail: shown_fields(given), ..of_server(given.title.clone(), sort) }]
            }
        }
    }

    // --- the host ---

    fn of_host(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let mut line = std::mem::take(&mut self.line);
        let mut entries = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.len() < PARTIAL_BYTES_MAX {
                line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                entries.push(self.of_message(true, line.trim_ascii()));
                line.clear();
            }
        }
        self.line = line;
        entries
    }

    /// A line of the host, or one for it.
    fn of_message(&mut self, from_host: bool, line: &[u8]) -> Entry {
        let (from, to) =
            if from_host { (Party::Host, Party::Server) } else { (Party::Server, Party::Host) };
        let value: Value = serde_json::from_slice(line).unwrap_or_default();
        let id = value.get("id").filter(|id| !id.is_null()).map(Value::to_string);
        let method = value.get("method").and_then(Value::as_str);
        let side = |by_host: bool| if by_host { "host" } else { "server" };
        let (sort, title, thread) = match (method, id) {
            (Some(method), Some(id)) => {
                self.asked.insert((from_host, id.clone()), method.to_owned());
                let thread = format!("{} {id}", side(from_host));
                (Sort::Request, format!("{method}  #{id}"), Some(thread))
            }
            (Some(method), None) => (sort_of_notice(method), method.to_owned(), None),
            (None, Some(id)) => {
                let thread = format!("{} {id}", side(!from_host));
                let asked = self.asked.remove(&(!from_host, id.clone())).unwrap_or_default();
                match value.get("error") {
                    Some(error) => {
                        let text = error["message"].as_str().unwrap_or_default();
                        let text: String = text.chars().take(80).collect();
                        (Sort::Error, format!("{asked}  #{id}: {text}"), Some(thread))
                    }
                    None => (Sort::Reply, format!("{asked}  #{id}"), Some(thread)),
                }
            }
            (None, None) => (Sort::Error, "no message".to_owned(), None),
        };
        Entry { thread, detail: kept(line), ..entry(from, to, sort, title) }
    }

    // --- calls ---

    fn of_deed(&mut self, deed: &Deed) -> Entry {
        let party = Party::of(deed.lane);
        let known = deed.call.and_then(|call| self.calls.get(&call));
        let (party, title) = match known {
            Some(open) if deed.lane == Lane::Machine => {
                (open.party, format!("{}: {}", deed.title, open.title))
            }
            _ => (party, deed.title.clone()),
        };
        if let Some(call) = deed.call.filter(|_| deed.is_start) {
            let title = short(&deed.title);
            let open = Open { party, title, is_stream: false, partial: Vec::new() };
            self.calls.insert(call, open);
        }
        let is_timer = party == Party::Server && deed.title.contains("timer");
        let sort = if is_timer { Sort::Upkeep } else { Sort::Work };
        let mut detail = shown_fields(deed);
        if !deed.fields.is_empty() && !deed.body.is_empty() {
            detail.push('\n');
        }
        detail.push_str(&kept(&deed.body));
        let thread = deed.call.map(|call| format!("call {call}"));
        Entry { thread, detail, ..entry(Party::Server, party, sort, title) }
    }

    fn of_answer(&mut self, call: u64, given: &Deed) -> Vec<Entry> {
        let party = Party::of(given.lane);
        let mut open = self.calls.remove(&call);
        let of = open.as_ref().map(|open| open.title.clone()).unwrap_or_default();
        let thread = Some(format!("call {call}"));
        let answer = |sort: Sort, title: String, detail: String| Entry {
            thread: thread.clone(),
            detail,
            ..entry(party, Party::Server, sort, title)
        };
        let is_chunk = !given.body.is_empty() && given.lane == Lane::Backend;
        let mut entries = Vec::new();
        if let Some(open) = &mut open
            && is_chunk
        {
            if open.partial.len() < PARTIAL_BYTES_MAX {
                open.partial.extend_from_slice(&given.body);
            }
            if open.is_stream {
                entries.extend(open.events().map(|(sort, title, data)| answer(sort, title, data)));
            }
        } else {
            if let Some(open) = &mut open {
                open.is_stream |= given.fields.iter().any(|field| {
                    field.name == "content-type" && field.value.contains("event-stream")
                });
                if !open.partial.is_empty() {
                    let title = format!("{} bytes: {of}", open.partial.len());
                    let body = std::mem::take(&mut open.partial);
                    entries.push(answer(Sort::Work, title, kept(&body)));
                }
            }
            let sort = sort_of_answer(given);
            let detail = shown_fields(given) + &kept(&given.body);
            entries.push(answer(sort, format!("{}: {of}", given.title), detail));
        }
        if let Some(open) = open {
            self.calls.insert(call, open);
        }
        entries
    }
}

impl Open {
    /// The events of a stream that are whole.
    fn events(&mut self) -> impl Iterator<Item = (Sort, String, String)> + use<> {
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.partial.split_off(end);
        let lines = std::mem::replace(&mut self.partial, rest);
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let data = lines.lines().filter_map(|line| line.strip_prefix("data:"));
        let events = data.map(|data| {
            let data = data.trim();
            let value: Value = serde_json::from_str(data).unwrap_or_default();
            let title = value["type"].as_str().unwrap_or("event").to_owned();
            let is_delta = title.contains("delta");
            let is_error = title.contains("failed") || title == "error";
            let sort = match (is_delta, is_error) {
                (true, _) => Sort::Delta,
                (_, true) => Sort::Error,
                _ => Sort::Work,
            };
            (sort, title, kept(data.as_bytes()))
        });
        events.collect::<Vec<_>>().into_iter()
    }
}

fn shown_fields(deed: &Deed) -> String {
    let fields = deed.fields.iter().map(|field| format!("{}: {}\n", field.name, field.value));
    fields.collect()
}

fn entry(from: Party, to: Party, sort: Sort, title: String) -> Entry {
    let (step, at) = (0, Duration::ZERO);
    let (detail, thread, difference) = (String::new(), None, None);
    Entry { step, at, from, to, sort, title, detail, thread, difference }
}

fn of_server(title: String, sort: Sort) -> Entry {
    entry(Party::Server, Party::Server, sort, title)
}

fn sort_of_notice(method: &str) -> Sort {
    let is_delta = method.to_ascii_lowercase().contains("delta");
    match method {
        _ if method.starts_with("codex/event") => Sort::Legacy,
        _ if is_delta => Sort::Delta,
        "error" => Sort::Error,
        _ => Sort::Notice,
    }
}

fn sort_of_answer(given: &Deed) -> Sort {
    let status = given.title.strip_prefix("status ").and_then(|code| code.parse::<u16>().ok());
    let is_error = status.is_some_and(|code| code >= 400)
        || ["failed", "not started", "no listener", "not held", "lost"]
            .iter()
            .any(|word| given.title.starts_with(word));
    let is_output = given.lane == Lane::Processes && !given.body.is_empty();
    match (is_error, is_output) {
        (true, _) => Sort::Error,
        (_, true) => Sort::Delta,
        _ => Sort::Work,
    }
}

/// A call in a few words: of an address its path, of a command its beginning.
fn short(title: &str) -> String {
    let text = match title.split_once("://") {
        Some((_, rest)) => {
            let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(rest);
            path.split('?').next().unwrap_or(path)
        }
        None => title,
    };
    let text: String = text.chars().take(60).collect();
    text
}

fn kept(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..DETAIL_BYTES_MAX).unwrap_or(bytes));
    match bytes.len().checked_sub(DETAIL_BYTES_MAX) {
        Some(more) if more > 0 => format!("{text}\n… and {more} bytes more"),
        _ => text.into_owned(),
    }
}
