//! Owns: how a recording is written: the shape of each of its lines that is JSON.
//!
//! The first line is a [`Head`], the last one an [`EndLine`]. Between them is a line for each step: a
//! [`StepLine`], or a shorter one for those that are many (`short`), with what was said before it.
//! Names are those of the port's own vocabulary. A change that a program of another version would
//! read wrongly raises [`VERSION`]; members may be added without.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::clock::{Moment, Tick};
use super::journal::Refused;
use crate::files::{Entry, FileError, Stat};
use crate::input::{HttpFailure, HttpHead, ListenFailure, RefreshDenied, Signal, Visit};
use crate::process::{ProcessExit, ProcessFailure};
use crate::wire::v2::command::FuzzyFileSearchResult;

/// The version of the format.
pub(super) const VERSION: u32 = 2;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    /// The version of the format.
    pub(super) trace: u32,
    /// The version of the program that has written it.
    pub(super) understudy: String,
    /// In hex.
    pub(super) seed: String,
    pub(super) at: Moment,
    pub(super) setup: SetupLine,
}

/// The setup of the machine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetupLine {
    pub(super) home: String,
    pub(super) cwd: String,
    pub(super) env: BTreeMap<String, String>,
    /// Arguments of `-c`, as they were given.
    #[serde(default)]
    pub(super) overrides: Vec<String>,
    #[serde(default)]
    pub(super) enabled: Vec<String>,
    #[serde(default)]
    pub(super) disabled: Vec<String>,
    pub(super) host: HostLine,
    /// The name of the time zone, where it has one.
    pub(super) zone: Option<String>,
    /// How far it was from UTC at the beginning, in seconds.
    pub(super) zone_offset: i32,
    pub(super) refresh_by_embedder: bool,
    pub(super) refresh_limit_ms: u64,
}

/// Facts about the host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HostLine {
    pub(super) os: String,
    pub(super) os_version: String,
    pub(super) arch: String,
    pub(super) terminal: String,
    pub(super) shell: String,
    pub(super) shell_path: String,
}

/// One step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StepLine {
    /// Microseconds since the step before.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub(super) passed_us: u64,
    /// By how many more the calendar moved.
    #[serde(rename = "j", default, skip_serializing_if = "is_none")]
    pub(super) jump_us: i64,
    #[serde(rename = "in")]
    pub(super) given: GivenLine,
    /// The digest of bytes and effects; none if there were none.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_none(n: &i64) -> bool {
    *n == 0
}

impl StepLine {
    pub(super) fn tick(&self) -> Tick {
        Tick { passed_us: self.passed_us, jump_us: self.jump_us }
    }
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndLine {
    /// Why nothing follows; none if the session was over.
    pub(super) end: Option<String>,
}

/// What the machine was given at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum GivenLine {
    Setup,
    Eof,
    Timer(u64),
    Signal(Signal),
    Refreshed(i64, FreshLine),
    Denied(i64, RefreshDenied),
    Done(u64, ToldLine),
}

/// New tokens: stand-ins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FreshLine {
    pub(super) access_token: String,
    pub(super) id_token: Option<String>,
    pub(super) account_id: Option<String>,
    pub(super) plan_type: Option<String>,
}

/// The answer to a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ToldLine {
    Head(HttpHead),
    End,
    Failed(HttpFailure),
    Files(Vec<OpLine>),
    Listening,
    ListenFailed(ListenFailure),
    Visit(Visit),
    Held,
    NotHeld(FileError),
    Exited(ProcessExit),
    NotStarted(ProcessFailure),
    Logs(String),
    Found(Vec<FuzzyFileSearchResult>),
    Lost,
}

/// One operation of a file job: what was asked, in words, and the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpLine(pub(super) String, pub(super) AnswerLine);

/// What the files answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum AnswerLine {
    Done,
    /// Contents that are in the recording for the first time; they are numbered from 0.
    Bytes(Text),
    /// Contents that were in it before, by their number.
    Same(usize),
    Entries(Vec<Entry>),
    Files(Vec<(String, Stat)>),
    Stat(Stat),
    Path(String),
    Secret(Option<String>),
    Flag(bool),
    Failed(FileError),
    NoKeyring(Refused),
}

/// Bytes: a string where they are UTF-8, else base64 in an object.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Arc<[u8]>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelled<'a> {
    Plain(std::borrow::Cow<'a, str>),
    Encoded { base64: String },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spelled = match std::str::from_utf8(&self.0) {
            Ok(text) => Spelled::Plain(text.into()),
            Err(_) => Spelled::Encoded { base64: STANDARD.encode(&self.0) },
        };
        spelled.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Spelled::deserialize(deserializer)? {
            Spelled::Plain(text) => text.into_owned().into_bytes().into(),
            Spelled::Encoded { base64 } => {
                STANDARD.decode(base64).map_err(serde::de::Error::custom)?.into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AnswerLine, GivenLine, OpLine, StepLine, Text, ToldLine};

    #[test]
    fn a_step_is_short_and_reads_back() {
        for (bytes, wanted) in
            [(b"{\"id\":1}\n".to_vec(), r#""{\"id\":1}\n""#), (vec![0xff], r#"{"base64":"/w=="}"#)]
        {
            let op = OpLine("read /x".to_owned(), AnswerLine::Bytes(Text::from(bytes.clone())));
            let given = GivenLine::Done(3, ToldLine::Files(vec![op]));
            let digest = Some("AAAA".to_owned());
            let step = StepLine { passed_us: 7, jump_us: 0, given, digest };
            let line = serde_json::to_string(&step).expect("JSON");
            let ops = format!(r#"[["read /x",{{"bytes":{wanted}}}]]"#);
            let wanted = format!(r#"{{"t":7,"in":{{"done":[3,{{"files":{ops}}}]}},"out":"AAAA"}}"#);
            assert_eq!(line, wanted);
            let read: StepLine = serde_json::from_str(&line).expect("a step");
            assert_eq!(serde_json::to_string(&read).expect("JSON"), wanted);
            let GivenLine::Done(_, ToldLine::Files(ops)) = read.given else { panic!("{line}") };
            let [OpLine(_, AnswerLine::Bytes(read))] = &ops[..] else { panic!("{ops:?}") };
            assert_eq!(*read.0, *bytes);
        }
    }
}
