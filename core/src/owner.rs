//! Who wants the answer to a call, and who set a timer.

use crate::auth::AuthCall;
use crate::command::CommandId;
use crate::effect::AskId;
use crate::thread::ThreadId;

/// Who wants the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOwner {
    /// The machine itself, for its configuration and credentials.
    Startup,
    /// The credential room.
    Auth(AuthCall),
    /// A thread that is being opened.
    ThreadOpen,
    /// A question about stored threads.
    ThreadFile,
    /// The file of a thread that is open.
    Rollout(ThreadId),
    /// The model stream of a thread's turn.
    Stream(ThreadId),
    /// The patch of a thread's turn: a check, or the work itself.
    Patch(ThreadId),
    /// Feedback of the user.
    Feedback,
    /// A search for files.
    Search,
    /// A program that a call of a thread's turn runs.
    Process(ThreadId),
    /// The user's own program that is told of turns.
    Notify,
    /// A rule that the user of a thread has just made, to its file.
    Amend(ThreadId),
    /// Files that a call of a thread's turn looks at.
    Look(ThreadId),
    /// Pictures and skills that the user of a thread named in the running turn.
    Input(ThreadId),
    /// A request in the account's name that is no turn's.
    Errand(u64),
    /// The model list, to its file.
    CatalogueFile,
    /// A request about the configuration.
    Config,
    /// A program that a client has run outside of threads.
    Command(CommandId),
}

/// Who set a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerOwner {
    /// A question to the host has a time limit.
    Ask(AskId),
    /// A turn waits before it sends again.
    Backoff(ThreadId),
    /// A model stream has been silent.
    StreamIdle(ThreadId),
    /// A call of a thread's turn has a time limit.
    Tool(ThreadId),
    /// A login has taken too long.
    LoginLimit,
    /// A login tries again: for its port, or whether the code was typed.
    LoginRetry,
    /// A managed refresh tries again.
    RefreshRetry,
    /// A program that a client has run outside of threads takes too long.
    Command(CommandId),
    /// The time for ending is over.
    Closing,
}

impl CallOwner {
    /// Whether the process waits for the answer before it ends, because something would be lost.
    pub(crate) fn must_finish(&self) -> bool {
        match self {
            CallOwner::Auth(call) => call.must_finish(),
            CallOwner::Rollout(_) | CallOwner::Patch(_) | CallOwner::Amend(_) => true,
            CallOwner::Startup
            | CallOwner::ThreadOpen
            | CallOwner::ThreadFile
            | CallOwner::Stream(_)
            | CallOwner::Search
            | CallOwner::Feedback
            | CallOwner::Process(_)
            | CallOwner::Notify
            | CallOwner::Look(_)
            | CallOwner::Input(_)
            | CallOwner::Errand(_)
            | CallOwner::CatalogueFile
            | CallOwner::Config
            | CallOwner::Command(_) => false,
        }
    }
}
