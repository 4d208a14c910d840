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
    /// The input's bytes, if it is one that comes in pieces.
    pub(super) said: Vec<u8>,
    /// A step before this one: the host took these bytes.
    pub(super) wrote: Option<Wrote>,
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
    /// A piece of what somebody says; most are.
    Piece(Topic),
    Whole(Whole),
}

/// What comes at once.
pub(super) enum Whole {
    /// Its setup; what came out was there from the start.
    Setup,
    Eof,
    Timer(TimerId),
    Signal(Signal),
    Refreshed(AskId, Result<FreshTokens, RefreshDenied>),
    Done(CallId, Told),
}

/// What the host, a backend or a program said, or what the host took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Wrote(Wrote),
    /// Bytes of the host.
    Bytes,
    /// Of an answer's body.
    Body(CallId),
    /// Of a program.
    Output(OutputStream, CallId),
}

/// How much of the output the host took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    /// All of it.
    All,
    /// So many bytes.
    Bytes(usize),
}

/// The answer to a call.
pub(super) enum Told {
    Head(HttpHead),
    End,
    Failed(HttpFailure),
    Files(Vec<Op>),
    Listening,
    ListenFailed(ListenFailure),
    Visit(Visit),
    Held(Result<(), FileError>),
    Exited(ProcessExit),
    NotStarted(ProcessFailure),
    Logs(String),
    Found(Vec<FuzzyFileSearchResult>),
    Lost,
}

impl Note {
    pub(super) fn new(now: Now, given: Given) -> Self {
        let (said, output, deeds) = (Vec::new(), Vec::new(), Vec::new());
        Self { now, given, said, wrote: None, output, deeds }
    }

    /// That the host took something.
    pub(super) fn of_wrote(now: Now, wrote: Wrote) -> Self {
        Self::new(now, Given::Piece(Topic::Wrote(wrote)))
    }

    /// The note of the host's writing that led to nothing, as most does.
    pub(super) fn as_idle_write(&self) -> Option<Wrote> {
        let is_idle = self.output.is_empty() && self.deeds.is_empty() && self.wrote.is_none();
        match self.given {
            Given::Piece(Topic::Wrote(wrote)) if is_idle => Some(wrote),
            _ => None,
        }
    }

    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let given = match &self.given {
            Given::Whole(Whole::Done(_, Told::Files(ops))) => ops.iter().map(Op::size).sum(),
            Given::Whole(Whole::Done(_, Told::Logs(text))) => text.len(),
            _ => 0,
        };
        let deeds: usize = self.deeds.iter().map(Deed::size).sum();
        size_of::<Self>() + given + self.said.len() + self.output.len() + deeds
    }
}

impl Given {
    /// Notes an input, with the bytes of a piece, and gives back the input that the machine gets:
    /// without the notes of a file job, which are kept.
    pub(super) fn of(input: Input<'_>) -> (Self, &[u8], Input<'_>) {
        let given = match input {
            Input::Bytes(said) => return (Given::Piece(Topic::Bytes), said, input),
            Input::Done(call, Outcome::HttpBytes(said)) => {
                return (Given::Piece(Topic::Body(call)), said, input);
            }
            Input::Done(call, Outcome::ProcessOutput(stream, said)) => {
                return (Given::Piece(Topic::Output(stream, call)), said, input);
            }
            Input::Done(call, outcome) => {
                let (told, outcome) = Told::of(outcome);
                return (Given::Whole(Whole::Done(call, told)), &[], Input::Done(call, outcome));
            }
            Input::Eof => Given::Whole(Whole::Eof),
            Input::TimerFired(timer) => Given::Whole(Whole::Timer(timer)),
            Input::AuthRefreshed(ask, ref answer) => {
                Given::Whole(Whole::Refreshed(ask, answer.clone()))
            }
            Input::Signal(signal) => Given::Whole(Whole::Signal(signal)),
        };
        (given, &[], input)
    }
}

impl Told {
    /// Whether nothing follows, as [`Outcome::is_last`] has it.
    pub(super) fn is_last(&self) -> bool {
        match self {
            Told::Head(_) | Told::Listening | Told::Visit(_) | Told::Held(_) => false,
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
            Outcome::HttpEnd => Told::End,
            Outcome::HttpFailed(ref failure) => Told::Failed(failure.clone()),
            Outcome::Listening => Told::Listening,
            Outcome::ListenFailed(ref failure) => Told::ListenFailed(failure.clone()),
            Outcome::Visit(ref visit) => Told::Visit(visit.clone()),
            Outcome::Held(ref held) => Told::Held(held.clone()),
            Outcome::ProcessExited(exit) => Told::Exited(exit),
            Outcome::ProcessFailed(ref failure) => Told::NotStarted(failure.clone()),
            Outcome::Logs(ref text) => Told::Logs(text.clone()),
            Outcome::Found(ref files) => Told::Found(files.clone()),
            // Pieces are noted as such.
            Outcome::Lost | Outcome::HttpBytes(_) | Outcome::ProcessOutput(..) => Told::Lost,
        };
        (told, outcome)
    }
}
