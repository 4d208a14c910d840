//! What was seen in a session, each with what the model says of it. The invariants look at these.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::model::{Completion, Notice};
use super::said::Line;
use super::tokens::Login;
use crate::world::fact::{Heard, Sent};

/// What a request must be answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// This result.
    Exactly(Value),
    /// Any result.
    AnyResult,
    /// A turn; a new one, or the one that runs.
    Turn {
        /// It begins with this request.
        is_new: bool,
    },
    /// This error.
    Refused(i64, String),
    /// An error with these words in it.
    RefusedWith(i64, String),
}

/// What a request was answered with: a result, or an error's code and text.
pub type Got = Result<Rc<Value>, (i64, String)>;

impl Verdict {
    /// This error.
    pub fn refused(code: i64, text: &str) -> Self {
        Verdict::Refused(code, text.to_owned())
    }

    /// Whether the answer is what was expected.
    pub fn fits(&self, got: &Got) -> bool {
        match (self, got) {
            (Verdict::Exactly(want), Ok(got)) => *want == **got,
            (Verdict::AnyResult | Verdict::Turn { .. }, Ok(_)) => true,
            (Verdict::Refused(code, text), Err((c, t))) => code == c && text == t,
            (Verdict::RefusedWith(code, text), Err((c, t))) => code == c && t.contains(text),
            _ => false,
        }
    }

    /// Whether it lets the request through.
    pub fn is_ok(&self) -> bool {
        !matches!(self, Verdict::Refused(..) | Verdict::RefusedWith(..))
    }
}

/// What a request must be answered with, and how things stood when it was served.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The request.
    pub line: Line,
    /// Its answer.
    pub verdict: Verdict,
    /// Who was signed in after it was served.
    pub login: Rc<Login>,
    /// The mode that the host was last told of.
    pub announced: Option<&'static str>,
}

/// A notification about the account, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its method.
    pub method: String,
    /// The mode it tells.
    pub mode: Option<String>,
    /// What it says of the end of a login.
    pub completion: Option<Completed>,
}

/// The end of a login, as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The login's id.
    pub id: Option<String>,
    /// It worked.
    pub is_success: bool,
    /// Why it did not.
    pub error: Option<String>,
}

impl Announcement {
    /// Whether it is what must come.
    pub fn fits(&self, notice: &Notice) -> bool {
        let fits = |wanted: &Completion, got: &Completed| {
            let says = |words: &str| got.error.as_ref().is_some_and(|error| error.contains(words));
            wanted.id == got.id
                && got.is_success == wanted.words.is_none()
                && wanted.words.as_ref().map_or(got.error.is_none(), |words| says(words))
        };
        self.method == notice.method
            && self.mode.as_deref() == notice.mode
            && match (&notice.completion, &self.completion) {
                (Some(wanted), Some(got)) => fits(wanted, got),
                (wanted, got) => wanted.is_none() && got.is_none(),
            }
    }
}

/// How a turn ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Because somebody asked for it.
    Interrupted,
    /// At once, having nothing to do.
    Completed,
    /// For want of credentials, with these words or the backend's.
    Unauthorized(Option<String>),
    /// There is nothing to send the request with.
    NoCredential(String),
}

/// One thing that was seen.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A request was served: its id and method.
    Asks(String, String),
    /// A message was heard.
    Heard(Rc<Heard>),
    /// A reply, with what it must be; none if nobody waits for it.
    Reply {
        /// What it must be.
        expected: Option<Box<Expected>>,
        /// What it is.
        got: Got,
    },
    /// A request must have been answered in this input and was not.
    Unanswered(String),
    /// A notification about the account.
    Announced {
        /// What it must be.
        expected: Option<Notice>,
        /// What it is.
        got: Announcement,
    },
    /// This notification must have come in this input and did not.
    NotAnnounced(Notice),
    /// A warning at the start.
    Warned(String),
    /// A request in the account's name went out.
    Sent {
        /// The request.
        sent: Rc<Sent>,
        /// Who it must be signed by.
        login: Rc<Login>,
        /// The bearer and account it must carry.
        expected: (Option<String>, Option<String>),
        /// Something called for it.
        is_due: bool,
        /// Why it must be sent.
        why: &'static str,
    },
    /// A turn must have sent a request in this input, for this reason, and has not.
    NotSent(&'static str),
    /// A request to the token authority went out, or to whoever has the login port.
    Authority {
        /// The request.
        sent: Rc<Sent>,
        /// Who is signed in.
        login: Rc<Login>,
        /// Something called for it.
        is_due: bool,
    },
    /// A refresh with the token authority was begun.
    Renewing {
        /// Something called for it.
        is_due: bool,
        /// None was under way.
        is_first: bool,
        /// Who is signed in.
        login: Rc<Login>,
    },
    /// Refreshed tokens were put into the store, or should have been.
    Renewed,
    /// A refresh token was sent again that the authority had refused for good.
    SpentAgain(String),
    /// A browser got a page.
    Page {
        /// Its status, as it must be.
        expected: Option<u16>,
        /// Its status.
        status: u16,
        /// Its body.
        body: Rc<String>,
    },
    /// The host was asked for tokens.
    Asked {
        /// Something called for it.
        is_due: bool,
        /// Another question was open.
        is_second: bool,
        /// Who is signed in.
        login: Rc<Login>,
        /// The account that was named.
        previous: Option<String>,
    },
    /// The host must have been asked and was not.
    NotAsked,
    /// The host had no new tokens, or none in time.
    RefreshFailed,
    /// A question expired before its time.
    TooEarly,
    /// A question was written, and no timer was set.
    NoLimit,
    /// A question was given another time than it should have.
    WrongLimit(Duration),
    /// A turn's request was answered 401.
    Refused {
        /// For the how manieth time since its last success.
        refused: u32,
        /// The bearer had been refused before.
        repeats: bool,
    },
    /// A turn has sent a request again on its own account, for the how manieth time.
    Retried(u32),
    /// A turn was completed.
    TurnOver {
        /// How it must end.
        expected: Option<Ending>,
        /// It may end as it likes.
        free: bool,
        /// The turn as it was shown.
        turn: Value,
    },
    /// A turn must have ended in this input and did not.
    NotEnded(Ending),
    /// The store was written and nobody had asked for it.
    Stored,
    /// An input that must have no effect had some.
    Noise {
        /// It was an answer that nobody waited for.
        late_answer: bool,
        /// It was a browser that does not know the login's state.
        strange_visit: bool,
        /// How many effects.
        outputs: usize,
    },
    /// An input that only reads made something go out.
    ReadActed,
    /// Something else that must have happened did not.
    Unmet(String),
}
