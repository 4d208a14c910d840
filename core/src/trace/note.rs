//! Owns: what is noted of one input, as it was, for the scribe.

use crate::clock::Now;
use crate::effect::{AskId, CallId, TimerId};
use crate::files::{FileAnswer, FileError};
use crate::input::{
    FreshTokens, HttpFailure, HttpHead, Input, ListenFailure, Outcome, RefreshDenied, Signal, Visit,
};
use crate::process::{OutputStream, ProcessExit, ProcessFailure};
use crate::wire::v2::command::FuzzyFileSearchResult;

use super::deed::Deed;
use super::journal::Op;

/// One input with what it led to. It holds secrets: only a [`Scribe`](super::Scribe) may read it.
pub struct Note {
    pub(super) now: Now,
    pub(super) given: Given,
    /// The bytes for the host that it added.
    pub(super) output: Vec<u8>,
    pub(super) deeds: Vec<Deed>,
}

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Note").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// What the machine was given.
pub(super) enum Given {
    /// Its setup; what came out was there from the start.
    Setup,
    /// So many bytes of its output were written.
    Wrote(usize),
    Bytes(Vec<u8>),
    Eof,
    Timer(TimerId),
    Signal(Signal),
    Refreshed(AskId, Result<FreshTokens, RefreshDenied>),
    Done(CallId, Told),
}

/// The answer to a call.
pub(super) enum Told {
    Head(HttpHead),
    Body(Vec<u8>),
    End,
    Failed(HttpFailure),
    Files(Vec<Op>),
    Listening,
    ListenFailed(ListenFailure),
    Visit(Visit),
    Held(Result<(), FileError>),
    Output(OutputStream, Vec<u8>),
    Exited(ProcessExit),
    NotStarted(ProcessFailure),
    Logs(String),
    Found(Vec<FuzzyFileSearchResult>),
    Lost,
}

impl Note {
    pub(super) fn new(now: Now, given: Given) -> Self {
        Self { now, given, output: Vec::new(), deeds: Vec::new() }
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let given = match &self.given {
            Given::Bytes(bytes) | Given::Done(_, Told::Body(bytes) | Told::Output(_, bytes)) => {
                bytes.len()
            }
            Given::Done(_, Told::Files(ops)) => ops.iter().map(Op::size).sum(),
            Given::Done(_, Told::Logs(text)) => text.len(),
            _ => 0,
        };
        let deeds: usize = self.deeds.iter().map(Deed::size).sum();
        size_of::<Self>() + given + self.output.len() + deeds
    }
}

impl Given {
    /// Notes an input, and gives back the one that the machine gets: without the notes of a file
    /// job, which are kept.
    pub(super) fn of(input: Input<'_>) -> (Self, Input<'_>) {
        let given = match input {
            Input::Done(call, outcome) => {
                let (told, outcome) = Told::of(outcome);
                return (Given::Done(call, told), Input::Done(call, outcome));
            }
            Input::Bytes(bytes) => Given::Bytes(bytes.to_vec()),
            Input::Eof => Given::Eof,
            Input::TimerFired(timer) => Given::Timer(timer),
            Input::AuthRefreshed(ask, ref answer) => Given::Refreshed(ask, answer.clone()),
            Input::Signal(signal) => Given::Signal(signal),
        };
        (given, input)
    }
}

impl Told {
    /// Whether nothing follows, as [`Outcome::is_last`] has it.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Told::Head(_)
            | Told::Body(_)
            | Told::Listening
            | Told::Visit(_)
            | Told::Held(_)
            | Told::Output(..) => false,
            Told::End
            | Told::Failed(_)
            | Told::Files(_)
            | Told::ListenFailed(_)
            | Told::Exited(_)
            | Told::NotStarted(_)
            | Told::Logs(_)
            | Told::Found(_)
            | Told::Lost => true,
        }
    }

    fn of(outcome: Outcome<'_>) -> (Self, Outcome<'_>) {
        let told = match outcome {
            Outcome::Files(answer) => {
                return match *answer {
                    FileAnswer::Noted(answer, ops) => (Told::Files(ops), Outcome::Files(answer)),
                    // Begun when nothing was noted any more.
                    other => (Told::Files(Vec::new()), Outcome::Files(Box::new(other))),
                };
            }
            Outcome::HttpHead(ref head) => Told::Head(head.clone()),
            Outcome::HttpBytes(bytes) => Told::Body(bytes.to_vec()),
            Outcome::HttpEnd => Told::End,
            Outcome::HttpFailed(ref failure) => Told::Failed(failure.clone()),
            Outcome::Listening => Told::Listening,
            Outcome::ListenFailed(ref failure) => Told::ListenFailed(failure.clone()),
            Outcome::Visit(ref visit) => Told::Visit(visit.clone()),
            Outcome::Held(ref held) => Told::Held(held.clone()),
            Outcome::ProcessOutput(stream, bytes) => Told::Output(stream, bytes.to_vec()),
            Outcome::ProcessExited(exit) => Told::Exited(exit),
            Outcome::ProcessFailed(ref failure) => Told::NotStarted(failure.clone()),
            Outcome::Logs(ref text) => Told::Logs(text.clone()),
            Outcome::Found(ref files) => Told::Found(files.clone()),
            Outcome::Lost => Told::Lost,
        };
        (told, outcome)
    }
}
