//! Threads that rest: what nobody has used for a while is put away, and read back when it is needed.
//!
//! No timer of its own: threads are looked over when something has come in, a line as a whole, at most
//! once an interval.
//! A machine that is told nothing does nothing.

use std::time::Duration;

use super::{Machine, Stage};
use crate::limits;
use crate::thread::question::Question;
use crate::thread::rollout::rebuild::{RebuildError, RebuildJob, Rebuilt};
use crate::thread::{Start, ThreadId};
use crate::turn::Voice;
use crate::wire::refusal::Refusal;
use crate::wire::v2::turn_error::{CodexErrorInfo, TurnError};

use super::threads::Asked;

impl Machine {
    /// Puts away the histories of threads that were not used for [`limits::THREAD_IDLE`], and the
    /// longest unused of the others if they are more than [`limits::HISTORY_BYTES_MAX`] together.
    pub(super) fn rest_threads(&mut self) {
        let now = self.out.now.mono;
        if now < self.next_rest || self.stage != Stage::Running {
            return;
        }
        let idle = self.thread_idle();
        self.next_rest = now + idle / 4;
        let mut bytes = 0;
        let mut resting: Vec<(Duration, ThreadId, usize)> = Vec::new();
        for (id, thread) in &self.threads {
            let of_thread = thread.conversation.history_bytes();
            bytes += of_thread;
            if thread.can_rest() {
                resting.push((thread.used, *id, of_thread));
            }
        }
        resting.sort_unstable();
        let mut put_away = 0_usize;
        for (used, id, of_thread) in resting {
            if now.saturating_sub(used) < idle && bytes <= limits::HISTORY_BYTES_MAX {
                break;
            }
            if let Some(thread) = self.threads.get_mut(&id) {
                thread.conversation.shelve();
                bytes = bytes.saturating_sub(of_thread);
                put_away += 1;
            }
        }
        if put_away > 0 {
            tracing::debug!(put_away, bytes, "histories of idle threads are put away");
        }
    }

    fn thread_idle(&self) -> Duration {
        let set = self.config.as_ref().and_then(|config| config.thread_idle);
        set.unwrap_or(limits::THREAD_IDLE)
    }

    /// The thread was used just now.
    pub(super) fn touch(&mut self, id: ThreadId) {
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.used = self.out.now.mono;
        }
    }

    /// Reads a thread's history back; what waits begins after that.
    pub(super) fn wake_thread(&mut self, id: ThreadId) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        let Some(path) = thread.path().cloned() else { return };
        if std::mem::replace(&mut thread.is_loading, true) {
            return;
        }
        let job = RebuildJob {
            path,
            initial_context: thread.conversation.context(),
            default_provider: thread.conversation.config.provider_id.clone(),
            wants_history: true,
            wants_turns: false,
            wants_events: false,
        };
        self.ask(Question::Rebuild(job), Asked::History(id));
    }

    /// The history is there again, or cannot be read: then whoever waits is told.
    pub(super) fn on_history(&mut self, id: ThreadId, rebuilt: Result<Box<Rebuilt>, RebuildError>) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        thread.is_loading = false;
        thread.used = self.out.now.mono;
        match rebuilt {
            Ok(rebuilt) => {
                thread.conversation.unshelve(rebuilt.history);
                self.begin_waiting(id);
            }
            Err(error) => self.refuse_waiting(id, &error),
        }
    }

    fn refuse_waiting(&mut self, id: ThreadId, error: &RebuildError) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        let path = thread.path().map(|path| path.display().to_string()).unwrap_or_default();
        let message = format!("failed to load rollout `{path}`: {error}");
        let voice = Voice::new(&thread.conversation, "".into());
        thread.is_rolling_back = false;
        for start in std::mem::take(&mut thread.starts) {
            match start.ticket() {
                Some(ticket) => self.out.refuse(ticket, &Refusal::internal(message.clone())),
                // Older clients have had their reply: they hear of it as of any other error.
                None => {
                    let error = TurnError {
                        message: message.clone(),
                        codex_error_info: Some(CodexErrorInfo::Other),
                        additional_details: None,
                    };
                    voice.error(&mut self.out, &error, false);
                }
            }
        }
    }

    /// The process is about to end: what has not begun is refused.
    pub(super) fn refuse_starts(&mut self, id: ThreadId) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        for ticket in thread.starts.drain(..).filter_map(Start::ticket) {
            self.out.refuse(ticket, &Refusal::internal("the server is shutting down"));
        }
    }
}
