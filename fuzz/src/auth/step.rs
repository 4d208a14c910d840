//! One step of a session, as data: it means something in every session, so that a script stays one
//! when steps are taken out of it.

use std::time::Duration;

use understudy_core::HttpFailureKind;

use super::grant::Grant;
use super::model::login::{Proof, Visit};
use super::tokens::Wanted;
use crate::world::backend::Response;
use crate::world::fact::Port;
use crate::world::{Cut, Fault};

/// One step. `nth` counts what is there, newest first; beyond the last it is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The host says something.
    Say(Say, bool, Cut),
    /// The host lets its buffer go.
    Flush,
    /// The host answers the `nth` question, open or not.
    Answer(usize, Answering),
    /// A whole response arrives for the `nth` call, in pieces of so many bytes.
    Respond(usize, Response, usize),
    /// The head of a response arrives.
    Head(usize, Response),
    /// So many bytes of a response's body arrive.
    Body(usize, usize),
    /// The rest of a response arrives, in pieces of so many bytes.
    Finish(usize, usize),
    /// A call fails.
    Fail(usize, HttpFailureKind),
    /// The runtime loses a call.
    Lose(usize),
    /// A response arrives for a call that was cancelled.
    StaleCall(usize, Response),
    /// A timer fires that was cancelled.
    StaleTimer(usize),
    /// The `nth` file job is run, with a fault.
    Job(usize, Fault),
    /// The listener that was asked for has its port, or not.
    Listen(Port),
    /// A browser comes.
    Visit(Visit, Proof),
    /// The lock between processes is held, or cannot be had.
    Hold(bool),
    /// The token authority answers its `nth` request.
    Grant(usize, Grant),
    /// Another process changes what is stored.
    Elsewhere(Change),
    /// Time passes.
    Wait(Wait),
    /// The host stops reading.
    StopReading,
    /// The host reads so many bytes.
    Read(usize),
    /// The host reads again.
    ResumeReading,
    /// The host's input ends.
    Eof,
    /// The operating system asks the process to end.
    Terminate,
}

impl Step {
    /// The kind of fault that it is, if it is one.
    pub fn fault(&self) -> Option<&'static str> {
        Some(match self {
            Step::Say(_, true, _) => "host: lines held back",
            Step::Say(_, _, Cut::At(_) | Cut::Bytes | Cut::Tail(_)) => "host: lines in pieces",
            Step::Answer(_, Answering::Tokens(wanted)) if *wanted == Wanted::GOOD => return None,
            Step::Answer(..) => "host: tokens wrong or none",
            Step::Respond(_, response, _) | Step::Head(_, response) => response.fault()?,
            Step::Fail(..) => "backend: no response, or it breaks off",
            Step::Lose(_) => "runtime: an exchange is lost",
            Step::StaleCall(..) | Step::StaleTimer(_) => "runtime: what was cancelled comes",
            Step::Job(_, Fault::Lost) => "runtime: a file job is lost",
            Step::Job(_, Fault::Op(_)) => "files: an operation fails",
            Step::Job(_, Fault::Keyring) => "keyring: fails",
            Step::Listen(Port::InUse | Port::Refused | Port::Lost) => "login port: not there",
            Step::Visit(_, Proof::Wrong | Proof::Missing) => "browser: a stranger's",
            Step::Hold(false) => "lock: cannot be had",
            Step::Grant(_, grant) if *grant != Grant::Good => "authority: refuses, or wrong tokens",
            Step::Elsewhere(_) => "another process changes what is stored",
            Step::Wait(Wait::JustAfter | Wait::NotYet) => "runtime: timers late",
            Step::StopReading => "host: stops reading",
            Step::Eof | Step::Terminate => "host: goes away",
            _ => return None,
        })
    }
}

/// What the host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the request of its name")]
pub enum Say {
    Initialize,
    LoginKey { legacy: bool, is_empty: bool },
    LoginTokens(Wanted),
    LoginChatGpt { legacy: bool },
    LoginDevice,
    CancelLogin { legacy: bool, which: Which },
    Logout { legacy: bool },
    ReadAccount { refresh: bool },
    Status { include: bool, refresh: bool },
    RateLimits,
    UserInfo,
    Agent,
    StartThread,
    StartTurn { slot: usize, is_empty: bool },
    Interrupt { slot: usize, named: Named },
    Junk(usize),
}

/// Which login is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The open one; else the last one.
    Open,
    /// One that is over.
    Ended,
    /// One that there never was.
    Unknown,
}

/// What another process does to what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has refreshed the tokens of the account in force.
    Refreshed,
    /// It has signed in to another account.
    OtherAccount,
    /// It has signed in with an API key.
    Key,
    /// It has signed out.
    Removed,
    /// It has broken the record.
    Garbage,
}

/// How an interrupt names its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Right,
    /// By the id of another one.
    Wrong,
    /// Not at all.
    Blank,
}

/// What the host answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answering {
    /// These tokens.
    Tokens(Wanted),
    /// Good tokens, with an error beside them.
    Both,
    /// Good tokens, under an id of the wrong type.
    TextId,
    /// An error.
    Denied,
    /// An error that is none.
    OddError,
    /// A malformed result.
    Malformed(usize),
}

/// How long time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until the next timer is due, which fires.
    ToNext,
    /// Until just before.
    JustBefore,
    /// Until just after; the timer fires late.
    JustAfter,
    /// Until then, but the timer does not fire yet.
    NotYet,
    /// Until after the longest of the timers that a refresh may have.
    PastRefresh,
}
