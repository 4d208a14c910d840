//! Lines of a rollout: their kinds, written and read (engine.md §8.2).
//!
//! Writing gives one line with its end, in the reference's order of members. Reading is tolerant:
//! a kind that is not known is [`Record::Unknown`], and payloads stay raw until somebody asks.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::meta::SessionMeta;
use crate::wire::legacy::event::EventMsg;
use crate::wire::legacy::policy::SandboxPolicy;
use crate::wire::response_item::ResponseItem;
use crate::wire::v2::common::{
    AskForApproval, CollaborationMode, Personality, ReasoningEffort, ReasoningSummary,
};
use crate::wire::v2::item::ThreadItem;
use crate::wire::v2::turn::TurnStatus;
use crate::wire::v2::turn_error::TurnError;

/// A line that is written.
#[derive(Clone, Copy, Debug)]
pub enum NewLine<'a> {
    /// What the thread is; the first line.
    SessionMeta(&'a SessionMeta),
    /// An entry of the model's history.
    ResponseItem(&'a ResponseItem),
    /// The same as JSON text, which is what histories hold.
    RawItem(&'a str),
    /// An event that the reference keeps (engine.md §8.2).
    Event(&'a EventMsg<'a>),
    /// The settings that a request is made with.
    TurnContext(&'a TurnContext<'a>),
    /// The history was made shorter.
    Compacted {
        /// The summary; empty if the backend made the history shorter.
        message: &'a str,
        /// The history from here on, item by item as JSON. None has readers work it out
        /// (engine.md §7.2), which only the reference's own lines need.
        replacement: Option<&'a [Arc<str>]>,
    },
    /// What only this server knows.
    Note(&'a Note<'a>),
}

/// The settings that a request is made with. Payload of a `turn_context` line.
#[derive(Clone, Debug, Serialize)]
pub struct TurnContext<'a> {
    /// Working directory.
    pub cwd: &'a str,
    /// Approval policy.
    pub approval_policy: AskForApproval,
    /// Sandbox policy.
    pub sandbox_policy: &'a SandboxPolicy,
    /// Model.
    pub model: &'a str,
    /// Tone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collaboration_mode: Option<&'a CollaborationMode>,
    /// How long the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<ReasoningEffort>,
    /// How much it tells about that.
    pub summary: ReasoningSummary,
    /// The user's instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_instructions: Option<&'a str>,
    /// The client's instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub developer_instructions: Option<&'a str>,
    /// JSON schema of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_output_json_schema: Option<&'a Value>,
    /// How outputs of tools are cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation_policy: Option<TruncationPolicy>,
}

/// How much of a tool's output the model sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruncationPolicy {
    /// What is counted.
    pub mode: TruncationMode,
    /// How many of them.
    pub limit: u64,
}

/// What a [`TruncationPolicy`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncationMode {
    /// Bytes.
    Bytes,
    /// Tokens of four bytes.
    Tokens,
}

/// What only this server knows, so that turns read back carry what was shown live (protocol.md §9,
/// G23). Rides on another line ([`SideNotes`]), or is the payload of an `understudy` line of its own;
/// the reference skips both.
///
/// Between `TurnStarted` and `TurnCompleted` stands at most one `user_message` event, that of the
/// input which began the turn; input that comes in later is in the items alone.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Note<'a> {
    /// A turn begins.
    TurnStarted {
        /// Its id.
        turn_id: &'a str,
    },
    /// An item is as it stays.
    ItemCompleted {
        /// The turn.
        turn_id: &'a str,
        /// The item as clients saw it.
        item: &'a ThreadItem,
    },
    /// A turn ended.
    TurnCompleted {
        /// Its id.
        turn_id: &'a str,
        /// How.
        status: TurnStatus,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a TurnError>,
    },
    /// The last turns were taken back. Stands right before the `thread_rolled_back` event, whose
    /// number counts messages of the user in the history, as the reference will.
    TurnsRolledBack {
        /// How many turns, as clients count them.
        num_turns: u32,
    },
}

impl NewLine<'_> {
    /// Appends the line with its end. `at` is when it happened.
    pub fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        let kind = match self {
            Self::SessionMeta(_) => "session_meta",
            Self::ResponseItem(_) | Self::RawItem(_) => "response_item",
            Self::Event(_) => "event_msg",
            Self::TurnContext(_) => "turn_context",
            Self::Compacted { .. } => "compacted",
            Self::Note(_) => "understudy",
        };
        put(out, format_args!(r#"{{"timestamp":"{at:.3}","type":"{kind}","payload":"#));
        match self {
            Self::SessionMeta(meta) => json(out, meta),
            Self::ResponseItem(item) => json(out, item),
            Self::RawItem(item) => raw(out, item),
            Self::Event(event) => json(out, event),
            Self::TurnContext(context) => json(out, context),
            Self::Compacted { message, replacement } => compacted(out, message, *replacement),
            Self::Note(note) => json(out, note),
        }
        out.extend_from_slice(b"}\n");
    }
}

fn compacted(out: &mut Vec<u8>, message: &str, replacement: Option<&[Arc<str>]>) {
    out.extend_from_slice(br#"{"message":"#);
    json(out, message);
    if let Some(items) = replacement {
        out.extend_from_slice(br#","replacement_history":["#);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            raw(out, item);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory");
}

fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("types of the protocol have keys of text");
}

/// JSON text as it is, but on one line: between its tokens a line end is a space.
fn raw(out: &mut Vec<u8>, text: &str) {
    let from = out.len();
    out.extend_from_slice(text.as_bytes());
    for byte in out.iter_mut().skip(from).filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
}

/// A line that was read.
#[derive(Debug)]
pub struct StoredLine<'a> {
    /// When it was written, as the line says.
    pub timestamp: Cow<'a, str>,
    /// What it holds.
    pub record: Record<'a>,
    /// What this server noted beside it.
    pub notes: SideNotes<'a>,
}

/// Notes that ride on a line of another kind, as its member `understudy`, which the reference
/// skips: the file keeps the reference's lines and no others.
#[derive(Debug, Default, Deserialize)]
pub struct SideNotes<'a> {
    /// What was noted before the line.
    #[serde(default, borrow)]
    pub before: Vec<&'a RawValue>,
    /// What was noted after it.
    #[serde(default, borrow)]
    pub after: Vec<&'a RawValue>,
}

/// What a line holds; payloads as JSON text.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// What the thread is.
    SessionMeta(&'a str),
    /// An entry of the model's history.
    ResponseItem(&'a str),
    /// An event.
    Event(&'a str),
    /// The settings that a request was made with.
    TurnContext(&'a str),
    /// The history was made shorter.
    Compacted(&'a str),
    /// What this server noted.
    Note(&'a str),
    /// A kind that is not known here.
    Unknown,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    timestamp: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default, borrow)]
    understudy: Option<SideNotes<'a>>,
}

impl<'a> StoredLine<'a> {
    /// Reads one line without its end; none if it is not of the format.
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let Envelope { timestamp, kind, payload, understudy } =
            serde_json::from_slice(line).ok()?;
        let payload = payload.get();
        let record = match kind.as_ref() {
            "session_meta" => Record::SessionMeta(payload),
            "response_item" => Record::ResponseItem(payload),
            "event_msg" => Record::Event(payload),
            "turn_context" => Record::TurnContext(payload),
            "compacted" => Record::Compacted(payload),
            "understudy" => Record::Note(payload),
            _ => Record::Unknown,
        };
        Some(Self { timestamp, record, notes: understudy.unwrap_or_default() })
    }
}

/// The kind of an event or of a note, which is all that most of them are asked for.
pub fn kind_of(payload: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<Kind<'_>>(payload).ok().map(|found| found.kind)
}

/// Payload of a `compacted` line.
#[derive(Debug, Deserialize)]
pub struct Compacted<'a> {
    /// The summary.
    #[serde(default, borrow)]
    pub message: Cow<'a, str>,
    /// The history from there on.
    #[serde(default, borrow)]
    pub replacement_history: Option<Vec<&'a RawValue>>,
}

/// A note that was read; the item stays JSON text. Members that a kind of note lacks are none.
#[derive(Debug, Deserialize)]
pub struct StoredNote<'a> {
    /// Which [`Note`] it is.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// The turn.
    #[serde(default, borrow)]
    pub turn_id: Cow<'a, str>,
    /// The item.
    #[serde(default, borrow)]
    pub item: Option<&'a RawValue>,
    /// How a turn ended.
    #[serde(default)]
    pub status: Option<TurnStatus>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<TurnError>,
    /// How many turns.
    #[serde(default)]
    pub num_turns: u32,
}
