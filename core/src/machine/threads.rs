//! Threads and models: the requests about them.

use super::Machine;
use crate::effect::{Call, CallId};
use crate::files::FileJob;
use crate::limits;
use crate::model::request::LoginKind;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::thread::{Starting, ThreadSetting};
use crate::wire::refusal::Refusal;
use crate::wire::v2::thread::{
    ThreadLoadedListParams, ThreadLoadedListResponse, ThreadStartParams, ThreadStartedNotification,
};

impl Machine {
    pub(super) fn start_thread(&mut self, ticket: Ticket, params: ThreadStartParams) {
        if self.threads.len() + self.starting.len() >= limits::THREADS_MAX {
            let text = format!("too many open threads: at most {}", limits::THREADS_MAX);
            return self.out.refuse(ticket, &Refusal::internal(text));
        }
        let (starting, job) = Starting::new(&self.setup, ticket, params);
        let job = Call::Files(FileJob::ThreadSetting(Box::new(job)));
        let call = self.out.start(job, CallOwner::ThreadStart);
        self.starting.insert(call, starting);
    }

    /// The reply comes before `thread/started` (protocol.md §1.5).
    pub(super) fn on_thread_setting(&mut self, call: CallId, found: ThreadSetting) {
        let Some(starting) = self.starting.remove(&call) else { return };
        let config = match found.config {
            Ok(config) => config,
            Err(text) => {
                let refusal = Refusal::invalid(format!("error deriving config: {text}"));
                return self.out.refuse(starting.ticket, &refusal);
            }
        };
        if let Err(unsupported) = config.provider.check_wire(&config.provider_id) {
            let refusal = Refusal::invalid(format!("error deriving config: {unsupported}"));
            return self.out.refuse(starting.ticket, &refusal);
        }
        let chatgpt = self.auth.login_kind() == LoginKind::ChatGpt;
        let (ticket, thread) = starting.finish(
            &mut self.out,
            &self.setup,
            &self.catalogue,
            chatgpt,
            config,
            found.user_instructions.as_deref(),
        );
        self.out.reply(ticket, thread.start_response());
        self.out.notify("thread/started", ThreadStartedNotification { thread: &thread.view() });
        self.threads.insert(thread.conversation.id, thread);
        self.refresh_catalogue();
    }

    pub(super) fn list_loaded_threads(&mut self, ticket: Ticket, params: ThreadLoadedListParams) {
        let mut ids: Vec<String> = self.threads.keys().map(|id| id.0.to_string()).collect();
        ids.sort();
        if let Some(cursor) = &params.cursor
            && !ids.is_empty()
        {
            let Ok(cursor) = uuid::Uuid::try_parse(cursor) else {
                let text = format!("invalid cursor: {cursor}");
                return self.out.refuse(ticket, &Refusal::invalid(text));
            };
            let cursor = cursor.to_string();
            ids.retain(|id| *id > cursor);
        }
        let limit = params.limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next_cursor = ids.last().filter(|_| more).cloned();
        self.out.reply(ticket, ThreadLoadedListResponse { data: ids, next_cursor });
    }
}
