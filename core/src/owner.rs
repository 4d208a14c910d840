//! Who wants the answer to a call, and who set a timer.

use crate::effect::AskId;
use crate::thread::ThreadId;

/// Who wants the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallOwner {
    /// The machine itself, for its configuration and credentials.
    Startup,
    /// The credential room, for its store.
    CredentialStore,
    /// A thread that is being started.
    ThreadStart,
    /// `thread/list`.
    ThreadList,
    /// The model stream of a thread's turn.
    Stream(ThreadId),
    /// The model list, from its host.
    Catalogue,
    /// The model list, to its file.
    CatalogueFile,
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
    /// The time for ending is over.
    Closing,
}

impl CallOwner {
    /// Whether the process waits for the answer before it ends, because something would be lost.
    pub(crate) fn must_finish(&self) -> bool {
        match self {
            CallOwner::CredentialStore => true,
            CallOwner::Startup
            | CallOwner::ThreadStart
            | CallOwner::ThreadList
            | CallOwner::Stream(_)
            | CallOwner::Catalogue
            | CallOwner::CatalogueFile => false,
        }
    }
}
