//! Threads: listing, reading, putting away, naming, taking turns back.

use super::Machine;
use crate::effect::{Call, CallId};
use crate::files::{FileError, FileJob};
use crate::limits;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::thread::archive::{ArchiveJob, UnarchiveJob};
use crate::thread::list::{ThreadListError, ThreadListJob};
use crate::thread::name::{NameJob, valid_name};
use crate::thread::question::{Answer, Question, Read, ReadJob, archive_refusal};
use crate::thread::rollout::line::Note;
use crate::thread::rollout::rebuild::{RebuildError, RebuildJob};
use crate::thread::{self, Start, Thread, ThreadId};
use crate::turn::{Changed, Voice};
use crate::wire::legacy::event::EventMsg;
use crate::wire::refusal::Refusal;
use crate::wire::v2::common::Empty;
use crate::wire::v2::thread::{
    ThreadArchiveParams, ThreadListParams, ThreadListResponse, ThreadLoadedListParams,
    ThreadLoadedListResponse, ThreadNameUpdatedNotification, ThreadReadParams, ThreadReadResponse,
    ThreadRollbackParams, ThreadRollbackResponse, ThreadSetNameParams, ThreadUnarchiveParams,
    ThreadUnarchiveResponse,
};
use crate::wire::v2::turn::Turn;

/// Why a question about stored threads was asked, and who wants the answer.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) enum Asked {
    List(Ticket),
    Read {
        ticket: Ticket,
        id: ThreadId,
    },
    /// A page for the older method.
    Conversations(Ticket),
    /// One thread for the older method.
    Summary {
        ticket: Ticket,
        id: uuid::Uuid,
        path: Option<std::path::PathBuf>,
    },
    Archive(Ticket),
    Unarchive(Ticket),
    Name {
        ticket: Ticket,
        thread: ThreadId,
        name: String,
    },
    /// Turns of a thread that is open: for a client that attaches to it.
    Attach {
        ticket: Ticket,
        thread: ThreadId,
    },
    /// The same after a rollback.
    RolledBack {
        ticket: Ticket,
        thread: ThreadId,
    },
    /// The history of a thread that had put it away.
    History(ThreadId),
}

impl Asked {
    /// The open thread whose own turns or history are asked for.
    fn open_thread(&self) -> Option<ThreadId> {
        match self {
            Self::Attach { thread, .. } | Self::RolledBack { thread, .. } => Some(*thread),
            Self::History(thread) => Some(*thread),
            Self::List(_)
            | Self::Read { .. }
            | Self::Conversations(_)
            | Self::Summary { .. }
            | Self::Archive(_)
            | Self::Unarchive(_)
            | Self::Name { .. } => None,
        }
    }
}

impl Machine {
    // --- questions about stored threads ---

    pub(super) fn ask(&mut self, question: Question, asked: Asked) {
        let job = Call::Files(FileJob::Thread(Box::new(question)));
        let call = self.out.start(job, CallOwner::ThreadFile);
        self.asked.insert(call, asked);
    }

    /// Asks for the turns of an open thread as soon as all of it is stored.
    pub(super) fn ask_when_stored(&mut self, id: ThreadId, asked: impl FnOnce(&Thread) -> Asked) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        let asked = asked(thread);
        thread.conversation.flush(&mut self.out);
        if thread.conversation.is_stored() {
            self.ask_turns(id, asked);
        } else {
            self.unstored.push((id, asked));
        }
    }

    fn ask_turns(&mut self, id: ThreadId, asked: Asked) {
        let Some(thread) = self.threads.get(&id) else { return };
        let Some(path) = thread.path().cloned() else {
            return self.answer_turns(asked, Ok(Vec::new()));
        };
        let job = RebuildJob {
            path,
            initial_context: Vec::new(),
            default_provider: thread.conversation.config.provider_id.clone(),
            wants_history: false,
            wants_turns: true,
            wants_events: false,
        };
        self.ask(Question::Rebuild(job), asked);
    }

    /// Answers with the turns of an open thread; the one that runs is shown as it stands.
    fn answer_turns(&mut self, asked: Asked, turns: Result<Vec<Turn>, RebuildError>) {
        let (ticket, id, is_rolled_back) = match asked {
            Asked::Attach { ticket, thread } => (ticket, thread, false),
            Asked::RolledBack { ticket, thread } => (ticket, thread, true),
            _ => return,
        };
        let Some(thread) = self.threads.get_mut(&id) else {
            return self.out.refuse(ticket, &thread::not_found(id));
        };
        if is_rolled_back {
            thread.is_rolling_back = false;
        }
        let mut turns = match turns {
            Ok(turns) => turns,
            Err(error) => {
                let path = thread.path().map(|path| path.display().to_string()).unwrap_or_default();
                let text = format!("failed to load rollout `{path}` for thread {}: {error}", id.0);
                return self.out.refuse(ticket, &Refusal::internal(text));
            }
        };
        if let Some(running) = &thread.turn {
            turns.retain(|turn| turn.id != running.id());
            turns.push(running.view());
        }
        let mut view = thread.view();
        view.turns = turns;
        if is_rolled_back {
            return self.out.reply(ticket, ThreadRollbackResponse { thread: view });
        }
        let mut response = thread.open_response();
        response.thread = view;
        self.out.reply(ticket, response);
    }

    /// The thread went away before its turns came.
    fn refuse_asked(&mut self, asked: Asked, id: ThreadId) {
        if let Asked::Attach { ticket, .. } | Asked::RolledBack { ticket, .. } = asked {
            self.out.refuse(ticket, &thread::not_found(id));
        }
    }

    /// An append to a thread's file has ended.
    pub(super) fn on_appended(&mut self, id: ThreadId, call: CallId, done: Result<(), FileError>) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        if let Some(recorder) = &mut thread.conversation.recorder {
            recorder.appended(call, done);
        }
        self.with_turn(id, |turn, out, conversation| turn.on_stored(out, conversation));
        let Some(thread) = self.threads.get_mut(&id) else { return };
        if thread.conversation.is_stored() {
            for asked in self.take_unstored(id) {
                self.ask_turns(id, asked);
            }
        } else {
            thread.conversation.flush(&mut self.out);
        }
    }

    /// Questions that wait until a thread is stored.
    fn take_unstored(&mut self, id: ThreadId) -> Vec<Asked> {
        let waits = |(waiting, _): &mut (ThreadId, Asked)| *waiting == id;
        self.unstored.extract_if(.., waits).map(|(_, asked)| asked).collect()
    }

    /// Questions that an open thread has asked about itself, waiting and on their way. If it is
    /// opened again before they are answered, their answers are not for it.
    fn take_asked(&mut self, id: ThreadId) -> Vec<Asked> {
        let mut all = self.take_unstored(id);
        let running = self.asked.iter().filter(|(_, asked)| asked.open_thread() == Some(id));
        let calls: Vec<CallId> = running.map(|(call, _)| *call).collect();
        all.extend(calls.iter().filter_map(|call| self.asked.remove(call)));
        all
    }

    pub(super) fn on_thread_answer(&mut self, call: CallId, answer: Answer) {
        if let Answer::Rebuilt(rebuilt) = answer {
            return match self.asked.remove(&call) {
                None => self.on_rebuilt(call, rebuilt),
                Some(Asked::History(id)) => self.on_history(id, rebuilt),
                Some(asked) => {
                    self.answer_turns(asked, rebuilt.map(|rebuilt| rebuilt.turns));
                }
            };
        }
        match (self.asked.remove(&call), answer) {
            (Some(Asked::List(ticket)), Answer::List(page)) => self.answer_list(ticket, page),
            (Some(Asked::Conversations(ticket)), Answer::List(page)) => {
                self.answer_conversations(ticket, page);
            }
            (Some(Asked::Summary { ticket, id, path }), Answer::Read(read)) => {
                self.answer_summary(ticket, id, path, read);
            }
            (Some(Asked::Read { ticket, id }), Answer::Read(read)) => {
                self.answer_read(ticket, id, read);
            }
            (Some(Asked::Archive(ticket)), Answer::Archived(done)) => match done {
                Ok(_) => self.out.reply(ticket, Empty {}),
                Err(error) => self.out.refuse(ticket, &archive_refusal(&error)),
            },
            (Some(Asked::Unarchive(ticket)), Answer::Unarchived(done)) => match done {
                Ok(stored) => {
                    self.out.reply(ticket, ThreadUnarchiveResponse { thread: stored.view() });
                }
                Err(error) => self.out.refuse(ticket, &archive_refusal(&error)),
            },
            (Some(Asked::Name { ticket, thread, name }), Answer::Named(done)) => {
                self.answer_name(ticket, thread, &name, done);
            }
            _ => {}
        }
    }

    /// The backend failed before a question was answered.
    pub(super) fn ask_lost(&mut self, call: CallId) {
        let Some(asked) = self.asked.remove(&call) else { return self.open_lost(call) };
        let ticket = match asked {
            Asked::List(ticket)
            | Asked::Conversations(ticket)
            | Asked::Summary { ticket, .. }
            | Asked::Archive(ticket)
            | Asked::Unarchive(ticket)
            | Asked::Read { ticket, .. }
            | Asked::Name { ticket, .. } => ticket,
            Asked::Attach { .. } | Asked::RolledBack { .. } => {
                return self.answer_turns(asked, Err(FileError::lost().into()));
            }
            Asked::History(id) => return self.on_history(id, Err(FileError::lost().into())),
        };
        self.out.refuse(ticket, &Refusal::internal(FileError::lost().text));
    }

    // --- listing and reading ---

    pub(super) fn list_threads(&mut self, ticket: Ticket, params: ThreadListParams) {
        let job = ThreadListJob {
            home: self.setup.home.clone(),
            archived: params.archived.unwrap_or(false),
            sort_key: params.sort_key.unwrap_or_default(),
            limit: params.limit.map_or(limits::THREAD_PAGE_DEFAULT, |limit| limit as usize),
            cursor: params.cursor,
            model_providers: params.model_providers,
            sources: params.source_kinds.unwrap_or_default(),
            default_provider: self.default_provider(),
            orders: self.known_orders.clone(),
        };
        self.ask(Question::List(job), Asked::List(ticket));
    }

    pub(super) fn default_provider(&self) -> String {
        self.config.as_ref().map(|config| config.provider_id.clone()).unwrap_or_default()
    }

    fn answer_list(
        &mut self,
        ticket: Ticket,
        page: Result<thread::list::ThreadListPage, ThreadListError>,
    ) {
        match page {
            Ok(page) => {
                let mut data: Vec<_> = page.threads.iter().map(|stored| stored.view()).collect();
                for view in &mut data {
                    let open = thread::parse_id(&view.id).ok().and_then(|id| self.threads.get(&id));
                    if let Some(open) = open {
                        view.status = open.status();
                    }
                }
                self.out.reply(ticket, ThreadListResponse { data, next_cursor: page.next_cursor });
            }
            Err(error @ ThreadListError::InvalidCursor(_)) => {
                self.out.refuse(ticket, &Refusal::invalid(error.to_string()));
            }
            Err(error @ ThreadListError::Files(_)) => {
                self.out.refuse(ticket, &Refusal::internal(error.to_string()));
            }
        }
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

    pub(super) fn read_thread(&mut self, ticket: Ticket, params: ThreadReadParams) {
        let id = match thread::parse_id(&params.thread_id) {
            Ok(id) => id,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        if let Some(open) = self.threads.get_mut(&id) {
            if open.path().is_none() {
                if params.include_turns {
                    let text = "ephemeral threads do not support includeTurns";
                    return self.out.refuse(ticket, &Refusal::invalid(text));
                }
                let view = open.view();
                return self.out.reply(ticket, ThreadReadResponse { thread: view });
            }
            // File jobs run in order: what waits is stored before it is read.
            open.conversation.flush(&mut self.out);
        }
        let path = self.threads.get(&id).and_then(|open| open.path().cloned());
        let job = ReadJob {
            home: self.setup.home.clone(),
            id: id.0,
            path,
            include_turns: params.include_turns,
            default_provider: self.default_provider(),
        };
        self.ask(Question::Read(job), Asked::Read { ticket, id });
    }

    fn answer_read(&mut self, ticket: Ticket, id: ThreadId, read: Read) {
        match read {
            Read::Found(stored, turns) => {
                let mut thread = stored.view();
                thread.turns = turns;
                if let Some(open) = self.threads.get(&id) {
                    thread.status = open.status();
                }
                self.out.reply(ticket, ThreadReadResponse { thread });
            }
            Read::NotFound => {
                let refusal = Refusal::invalid(format!("thread not loaded: {}", id.0));
                self.out.refuse(ticket, &refusal);
            }
            Read::Failed(text) => self.out.refuse(ticket, &Refusal::internal(text)),
        }
    }

    // --- putting away, naming, taking back ---

    pub(super) fn archive_thread(&mut self, ticket: Ticket, params: ThreadArchiveParams) {
        match thread::parse_id(&params.thread_id) {
            Ok(id) => self.archive(ticket, id, None),
            Err(refusal) => self.out.refuse(ticket, &refusal),
        }
    }

    /// Puts a thread away. One that is open is closed first, its running turn stopped and stored.
    pub(super) fn archive(
        &mut self,
        ticket: Ticket,
        id: ThreadId,
        path: Option<std::path::PathBuf>,
    ) {
        self.interrupt_turn(id);
        let home = self.setup.home.clone();
        let job = ArchiveJob { home, id: id.0, path };
        self.close_thread(id);
        self.ask(Question::Archive(job), Asked::Archive(ticket));
    }

    /// Forgets an open thread. What it has still to write is on its way.
    fn close_thread(&mut self, id: ThreadId) {
        let Some(mut thread) = self.threads.remove(&id) else { return };
        if let Some(turn) = &mut thread.turn {
            // It waits for its file alone: it is announced now, because nobody will come back to it.
            let _over = turn.finish_now(&mut self.out, &mut thread.conversation);
        }
        thread.conversation.flush_all(&mut self.out);
        for ticket in thread.starts.drain(..).filter_map(Start::ticket) {
            self.out.refuse(ticket, &thread::not_found(id));
        }
        for asked in self.take_asked(id) {
            self.refuse_asked(asked, id);
        }
        thread.conversation.sessions.kill_all(&mut self.out);
        let voice = Voice::new(&thread.conversation, "".into());
        voice.event(&mut self.out, "codex/event/shutdown_complete", || EventMsg::ShutdownComplete);
        self.out.forget_unheard(&thread.conversation.id_text);
        self.auth.stop_waiting(crate::auth::Waiter::Turn(id.0));
    }

    pub(super) fn unarchive_thread(&mut self, ticket: Ticket, params: ThreadUnarchiveParams) {
        let id = match thread::parse_id(&params.thread_id) {
            Ok(id) => id,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let (home, default_provider) = (self.setup.home.clone(), self.default_provider());
        let job = UnarchiveJob { home, id: id.0, default_provider };
        self.ask(Question::Unarchive(job), Asked::Unarchive(ticket));
    }

    pub(super) fn set_thread_name(&mut self, ticket: Ticket, params: ThreadSetNameParams) {
        let thread = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(found) => found.conversation.id,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let Some(name) = valid_name(&params.name).map(str::to_owned) else {
            return self.out.refuse(ticket, &Refusal::invalid("thread name must not be empty"));
        };
        let (home, at) = (self.setup.home.clone(), self.out.now.wall);
        let job = NameJob { home, id: thread.0, name: name.clone(), at };
        self.ask(Question::Name(job), Asked::Name { ticket, thread, name });
    }

    fn answer_name(
        &mut self,
        ticket: Ticket,
        thread: ThreadId,
        name: &str,
        done: Result<(), FileError>,
    ) {
        if let Err(err) = done {
            let text = format!("failed to set thread name: {err}");
            return self.out.refuse(ticket, &Refusal::internal(text));
        }
        self.out.reply(ticket, Empty {});
        let Some(open) = self.threads.get(&thread) else { return };
        let voice = Voice::new(&open.conversation, "".into());
        voice.event(&mut self.out, "codex/event/thread_name_updated", || {
            let thread_name = Some(name.to_owned());
            EventMsg::ThreadNameUpdated { thread_id: thread.0.to_string(), thread_name }
        });
        let thread_id = &thread.0.to_string();
        let params = ThreadNameUpdatedNotification { thread_id, thread_name: Some(name) };
        self.out.notify("thread/name/updated", params);
    }

    pub(super) fn roll_back_thread(&mut self, ticket: Ticket, params: ThreadRollbackParams) {
        if params.num_turns == 0 {
            return self.out.refuse(ticket, &Refusal::invalid("numTurns must be >= 1"));
        }
        let open = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(open) => open,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let text = if open.is_rolling_back {
            "rollback already in progress for this thread"
        } else if open.turn.is_some() || !open.starts.is_empty() {
            "Cannot rollback while a turn is in progress."
        } else if open.path().is_none() {
            "thread has no persisted rollout"
        } else {
            let id = open.conversation.id;
            open.is_rolling_back = true;
            return self.begin(id, Start::RollBack(ticket, params.num_turns));
        };
        self.out.refuse(ticket, &Refusal::invalid(text));
    }

    pub(super) fn roll_back(&mut self, id: ThreadId, ticket: Ticket, turns: u32) {
        let Some(open) = self.threads.get_mut(&id) else { return };
        let at = self.out.now.wall;
        let num_turns = open.conversation.roll_back(turns as usize);
        let turn_id = self.out.rng.uuid_v7(self.out.now).to_string();
        let voice = Voice::new(&open.conversation, turn_id.into());
        open.conversation.tell_tokens(&mut self.out, &voice, Changed::Usage);
        open.conversation.note_before(&Note::TurnsRolledBack { num_turns: turns });
        open.conversation.store_event(at, &EventMsg::ThreadRolledBack { num_turns });
        voice.event(&mut self.out, "codex/event/thread_rolled_back", || {
            EventMsg::ThreadRolledBack { num_turns: turns }
        });
        self.ask_when_stored(id, |_| Asked::RolledBack { ticket, thread: id });
    }
}
