//! Threads by the older methods, which call them conversations (protocol.md §3.3).

use std::path::PathBuf;

use super::Machine;
use super::threads::Asked;
use crate::pending::Ticket;
use crate::thread::list::{ThreadListError, ThreadListJob, ThreadListPage};
use crate::thread::open::{OpenDialect, OpenKind, Opening, Source, Wishes};
use crate::thread::question::{Question, Read, ReadJob};
use crate::thread::stored::StoredThread;
use crate::thread::{self, Start, Thread, ThreadId};
use crate::wire::legacy::conversation::{
    AddConversationListenerParams, AddConversationSubscriptionResponse, ArchiveConversationParams,
    ForkConversationParams, GetConversationSummaryParams, GetConversationSummaryResponse,
    InputItem, InterruptConversationParams, InterruptConversationResponse, ListConversationsParams,
    ListConversationsResponse, NewConversationParams, NewConversationResponse,
    RemoveConversationListenerParams, ResumeConversationParams, ResumeConversationResponse,
    SendUserMessageParams, SendUserTurnParams, SessionConfiguredNotification,
};
use crate::wire::legacy::event::{EventMsg, TurnAbortReason};
use crate::wire::legacy::id::Id;
use crate::wire::refusal::Refusal;
use crate::wire::v2::common::{Empty, Json};
use crate::wire::v2::item::UserInput;
use crate::wire::v2::thread::ThreadSortKey;
use crate::wire::v2::turn::TurnStartParams;

impl Machine {
    // --- opening ---

    pub(super) fn new_conversation(&mut self, ticket: Ticket, params: NewConversationParams) {
        let (kind, dialect) = (OpenKind::Start, OpenDialect::Legacy);
        self.open_thread(ticket, kind, dialect, Source::New, params.into());
    }

    /// `path` outranks `conversationId`, which outranks `history`.
    pub(super) fn resume_conversation(&mut self, ticket: Ticket, params: ResumeConversationParams) {
        let history = params.history.filter(|items| !items.is_empty());
        let source = match (params.path, params.conversation_id, history) {
            (Some(path), _, _) => Source::Path(path.into()),
            (None, Some(id), _) => Source::Id(ThreadId(id.0)),
            (None, None, Some(items)) => Source::History(items),
            (None, None, None) => {
                let text = "either path, conversation id or non empty history must be provided";
                return self.out.refuse(ticket, &Refusal::invalid(text));
            }
        };
        let wishes = params.overrides.map(Wishes::from).unwrap_or_default();
        let (kind, dialect) = (OpenKind::Resume, OpenDialect::Legacy);
        self.open_thread(ticket, kind, dialect, source, wishes);
    }

    pub(super) fn fork_conversation(&mut self, ticket: Ticket, params: ForkConversationParams) {
        let source = match (params.path, params.conversation_id) {
            (Some(path), _) => Source::Path(path.into()),
            (None, Some(id)) => Source::Id(ThreadId(id.0)),
            (None, None) => {
                let text = "either path or conversation id must be provided";
                return self.out.refuse(ticket, &Refusal::invalid(text));
            }
        };
        let wishes = params.overrides.map(Wishes::from).unwrap_or_default();
        let (kind, dialect) = (OpenKind::Fork, OpenDialect::Legacy);
        self.open_thread(ticket, kind, dialect, source, wishes);
    }

    /// The reply to opening a conversation; one that was stored is announced before it.
    pub(super) fn reply_conversation(
        &mut self,
        opening: Opening,
        thread: &Thread,
        events: Vec<EventMsg<'static>>,
    ) {
        let settings = &thread.conversation.settings;
        let id = crate::wire::legacy::id::ThreadId(thread.conversation.id.0);
        let path = thread.path().map(|path| path.to_string_lossy().into_owned());
        let (model, rollout_path) = (settings.model.clone(), path.unwrap_or_default());
        let reasoning_effort = settings.effort;
        if opening.kind == OpenKind::Start {
            let (ticket, conversation_id) = (opening.ticket, id);
            let response =
                NewConversationResponse { conversation_id, model, reasoning_effort, rollout_path };
            return self.out.reply(ticket, response);
        }
        let stored = events.iter().filter_map(|event| serde_json::value::to_raw_value(event).ok());
        let initial_messages = Some(stored.map(Json::new).collect::<Vec<Json>>());
        self.out.notify(
            "sessionConfigured",
            SessionConfiguredNotification {
                session_id: id,
                model: model.clone(),
                reasoning_effort,
                history_log_id: 0,
                history_entry_count: 0,
                initial_messages: initial_messages.clone(),
                rollout_path: rollout_path.clone(),
            },
        );
        self.out.reply(
            opening.ticket,
            ResumeConversationResponse {
                conversation_id: id,
                model,
                initial_messages,
                rollout_path,
            },
        );
    }

    // --- listening ---

    pub(super) fn add_listener(&mut self, ticket: Ticket, params: AddConversationListenerParams) {
        let id = ThreadId(params.conversation_id.0);
        let Some(thread) = self.threads.get(&id) else {
            return self.out.refuse(ticket, &thread::not_found(id));
        };
        let mut audience = thread.conversation.audience;
        audience.join_legacy(params.experimental_raw_events);
        let subscription = self.out.rng.uuid_v4();
        self.subscriptions.insert(subscription, id);
        let subscription_id = Id(subscription);
        self.out.reply(ticket, AddConversationSubscriptionResponse { subscription_id });
        self.set_audience(id, audience);
    }

    pub(super) fn remove_listener(
        &mut self,
        ticket: Ticket,
        params: RemoveConversationListenerParams,
    ) {
        let Some(id) = self.subscriptions.remove(&params.subscription_id.0) else {
            let text = format!("subscription not found: {}", params.subscription_id.0);
            return self.out.refuse(ticket, &Refusal::invalid(text));
        };
        if let Some(thread) = self.threads.get(&id) {
            let mut audience = thread.conversation.audience;
            audience.leave_legacy();
            self.set_audience(id, audience);
        }
        self.out.reply(ticket, Empty {});
    }

    // --- turns ---

    pub(super) fn send_user_message(&mut self, ticket: Ticket, params: SendUserMessageParams) {
        let id = ThreadId(params.conversation_id.0);
        let wanted = TurnStartParams { input: inputs(params.items), ..TurnStartParams::default() };
        self.send_to_conversation(ticket, id, wanted);
    }

    /// Sets every setting; an effort of `null` clears it.
    pub(super) fn send_user_turn(&mut self, ticket: Ticket, params: SendUserTurnParams) {
        let id = ThreadId(params.conversation_id.0);
        if let Some(thread) = self.threads.get_mut(&id) {
            thread.conversation.settings.effort = params.effort;
        }
        let wanted = TurnStartParams {
            input: inputs(params.items),
            cwd: Some(params.cwd),
            approval_policy: Some(params.approval_policy),
            sandbox_policy: Some(params.sandbox_policy.into()),
            model: Some(params.model),
            effort: params.effort,
            summary: Some(params.summary),
            output_schema: params.output_schema,
            ..TurnStartParams::default()
        };
        self.send_to_conversation(ticket, id, wanted);
    }

    fn send_to_conversation(&mut self, ticket: Ticket, id: ThreadId, wanted: TurnStartParams) {
        let Some(thread) = self.threads.get(&id) else {
            let refusal = Refusal::invalid(format!("conversation not found: {}", id.0));
            return self.out.refuse(ticket, &refusal);
        };
        if let Err(refusal) = thread.check_room() {
            return self.out.refuse(ticket, &refusal);
        }
        self.out.reply(ticket, Empty {});
        self.begin(id, Start::Input(None, Box::new(wanted)));
    }

    pub(super) fn interrupt_conversation(
        &mut self,
        ticket: Ticket,
        params: InterruptConversationParams,
    ) {
        let id = ThreadId(params.conversation_id.0);
        if !self.threads.contains_key(&id) {
            let refusal = Refusal::invalid(format!("conversation not found: {}", id.0));
            return self.out.refuse(ticket, &refusal);
        }
        let abort_reason = TurnAbortReason::Interrupted;
        self.out.reply(ticket, InterruptConversationResponse { abort_reason });
        self.interrupt_turn(id);
    }

    // --- stored ones ---

    pub(super) fn archive_conversation(
        &mut self,
        ticket: Ticket,
        params: ArchiveConversationParams,
    ) {
        let path = Some(PathBuf::from(params.rollout_path));
        self.archive(ticket, ThreadId(params.conversation_id.0), path);
    }

    pub(super) fn list_conversations(&mut self, ticket: Ticket, params: ListConversationsParams) {
        let job = ThreadListJob {
            home: self.setup.home.clone(),
            archived: false,
            sort_key: ThreadSortKey::UpdatedAt,
            limit: params.page_size.unwrap_or(crate::limits::THREAD_PAGE_DEFAULT),
            cursor: params.cursor,
            model_providers: params.model_providers,
            sources: Vec::new(),
            default_provider: self.default_provider(),
            orders: self.known_orders.clone(),
        };
        self.ask(Question::List(job), Asked::Conversations(ticket));
    }

    pub(super) fn conversation_summary(
        &mut self,
        ticket: Ticket,
        params: GetConversationSummaryParams,
    ) {
        let (id, path) = match params {
            GetConversationSummaryParams::Id(by) => (by.conversation_id.0, None),
            GetConversationSummaryParams::Path(by) => {
                // A relative path is below the home folder.
                (uuid::Uuid::nil(), Some(self.setup.home.join(by.rollout_path)))
            }
        };
        let job = ReadJob {
            home: self.setup.home.clone(),
            id,
            path: path.clone(),
            include_turns: false,
            default_provider: self.default_provider(),
        };
        self.ask(Question::Read(job), Asked::Summary { ticket, id, path });
    }
}

impl Machine {
    pub(super) fn answer_conversations(
        &mut self,
        ticket: Ticket,
        page: Result<ThreadListPage, ThreadListError>,
    ) {
        match page {
            Ok(page) => {
                let items = page.threads.iter().filter_map(StoredThread::summary).collect();
                let next_cursor = page.next_cursor;
                self.out.reply(ticket, ListConversationsResponse { items, next_cursor });
            }
            Err(error @ ThreadListError::InvalidCursor(_)) => {
                self.out.refuse(ticket, &Refusal::invalid(error.to_string()));
            }
            Err(error @ ThreadListError::Files(_)) => {
                self.out.refuse(ticket, &Refusal::internal(error.to_string()));
            }
        }
    }

    pub(super) fn answer_summary(
        &mut self,
        ticket: Ticket,
        id: uuid::Uuid,
        path: Option<PathBuf>,
        read: Read,
    ) {
        let refusal = match (read, path) {
            (Read::Found(stored, _), _) => match stored.summary() {
                Some(summary) => {
                    return self.out.reply(ticket, GetConversationSummaryResponse { summary });
                }
                None => Refusal::internal("the stored thread has no usable id"),
            },
            (Read::NotFound, None) => {
                Refusal::invalid(format!("no rollout found for conversation id {id}"))
            }
            (Read::NotFound, Some(path)) => Refusal::internal(format!(
                "failed to load conversation summary from {}: no such file",
                path.display()
            )),
            (Read::Failed(text), path) => {
                let place = path.map_or_else(|| id.to_string(), |p| p.display().to_string());
                Refusal::internal(format!(
                    "failed to load conversation summary from {place}: {text}"
                ))
            }
        };
        self.out.refuse(ticket, &refusal);
    }
}

fn inputs(items: Vec<InputItem>) -> Vec<UserInput> {
    items
        .into_iter()
        .map(|item| match item {
            InputItem::Text { text, text_elements } => UserInput::Text { text, text_elements },
            InputItem::Image { image_url } => UserInput::Image { url: image_url },
            InputItem::LocalImage { path } => UserInput::LocalImage { path },
        })
        .collect()
}
