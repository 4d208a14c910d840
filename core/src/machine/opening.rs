//! Threads on their way: new ones, stored ones, copies; and who joins one that is open.

use super::Machine;
use super::threads::Asked;
use crate::config::Config;
use crate::effect::{Call, CallId};
use crate::files::{FileError, FileJob};
use crate::limits;
use crate::model::request::LoginKind;
use crate::outside::Outside;
use crate::owner::CallOwner;
use crate::pending::Ticket;
use crate::thread::open::{
    OpenDialect, OpenKind, OpenStage, Opened, Opening, Source, ThreadSetting, ThreadSettingJob,
    Wishes,
};
use crate::thread::question::Question;
use crate::thread::rollout::rebuild::{RebuildError, Rebuilt};
use crate::thread::{self, Start, Thread, ThreadId};
use crate::tools::dynamic;
use crate::turn::{Voice, thread_opened};
use crate::wire::legacy::event::EventMsg;
use crate::wire::refusal::Refusal;
use crate::wire::v2::thread::{
    ThreadForkParams, ThreadResumeParams, ThreadStartParams, ThreadStartedNotification,
};
use crate::wire::v2::turn::Turn;

impl Machine {
    pub(super) fn start_thread(&mut self, ticket: Ticket, mut params: ThreadStartParams) {
        let dynamic_tools = params.dynamic_tools.take().unwrap_or_default();
        if let Err(refusal) = dynamic::check(&dynamic_tools) {
            return self.out.refuse(ticket, &refusal);
        }
        let dialect = OpenDialect::V2 { raw: params.experimental_raw_events };
        let ephemeral = params.ephemeral.unwrap_or(false);
        let new = Opening::new(ticket, OpenKind::Start, dialect, Source::New);
        self.open(Opening { dynamic_tools, ephemeral, ..new }, params.into());
    }

    /// `thread/resume`: `history` outranks `path`, which outranks `threadId` (protocol.md §3.2).
    pub(super) fn resume_thread(&mut self, ticket: Ticket, mut params: ThreadResumeParams) {
        let source = match (params.history.take(), params.path.take()) {
            (Some(items), _) if items.is_empty() => {
                return self.out.refuse(ticket, &Refusal::invalid("history must not be empty"));
            }
            (Some(items), _) => Source::History(items),
            (None, Some(path)) => Source::Path(path.into()),
            (None, None) => match thread::parse_id(&params.thread_id) {
                Ok(id) => Source::Id(id),
                Err(refusal) => return self.out.refuse(ticket, &refusal),
            },
        };
        if let Some(open) = self.find_open(&source) {
            return self.attach(ticket, open);
        }
        let dialect = OpenDialect::V2 { raw: false };
        let wishes = Wishes::from(params);
        self.open_thread(ticket, OpenKind::Resume, dialect, source, wishes);
    }

    pub(super) fn fork_thread(&mut self, ticket: Ticket, mut params: ThreadForkParams) {
        let source = match params.path.take() {
            Some(path) => Source::Path(path.into()),
            None => match thread::parse_id(&params.thread_id) {
                Ok(id) => Source::Id(id),
                Err(refusal) => return self.out.refuse(ticket, &refusal),
            },
        };
        let dialect = OpenDialect::V2 { raw: false };
        let wishes = Wishes::from(params);
        self.open_thread(ticket, OpenKind::Fork, dialect, source, wishes);
    }

    /// The open thread that a source names: one file has one writer (protocol.md §9 G8).
    fn find_open(&self, source: &Source) -> Option<ThreadId> {
        match source {
            Source::Id(id) => self.threads.contains_key(id).then_some(*id),
            Source::Path(path) => self
                .threads
                .values()
                .find(|thread| thread.path() == Some(path))
                .map(|thread| thread.conversation.id),
            Source::New | Source::History(_) => None,
        }
    }

    pub(super) fn open_thread(
        &mut self,
        ticket: Ticket,
        kind: OpenKind,
        dialect: OpenDialect,
        source: Source,
        wishes: Wishes,
    ) {
        self.open(Opening::new(ticket, kind, dialect, source), wishes);
    }

    pub(super) fn open(&mut self, opening: Opening, wishes: Wishes) {
        if self.threads.len() + self.opening.len() >= limits::THREADS_MAX {
            let text = format!("too many open threads: at most {}", limits::THREADS_MAX);
            return self.out.refuse(opening.ticket, &Refusal::internal(text));
        }
        // What is open and not yet stored belongs to a copy as well.
        if let Some(open) = self.find_open(&opening.source)
            && let Some(thread) = self.threads.get_mut(&open)
        {
            thread.conversation.flush(&mut self.out);
        }
        let job = ThreadSettingJob::new(&self.setup, &opening.source, wishes);
        self.wait_for(FileJob::ThreadSetting(Box::new(job)), opening);
    }

    fn wait_for(&mut self, job: FileJob, opening: Opening) {
        let call = self.out.start(Call::Files(job), CallOwner::ThreadOpen);
        self.opening.insert(call, opening);
    }

    /// The file and the configuration are known.
    pub(super) fn on_thread_setting(&mut self, call: CallId, found: ThreadSetting) {
        let Some(mut opening) = self.opening.remove(&call) else { return };
        let setting = match found.0 {
            Ok(setting) => setting,
            Err(refusal) => return self.refuse_opening(opening, refusal),
        };
        let chatgpt = self.auth.login_kind() == LoginKind::ChatGpt;
        let opened = opening.make(
            &mut self.out,
            &self.setup,
            self.session.originator(),
            &self.catalogue,
            chatgpt,
            setting,
        );
        match opened {
            Opened::Ready(thread) => {
                self.opened(opening, *thread, Vec::new(), Vec::new());
            }
            Opened::Reading(job) => {
                let question = Question::Rebuild(*job);
                self.wait_for(FileJob::Thread(Box::new(question)), opening);
            }
        }
    }

    pub(super) fn on_rebuilt(&mut self, call: CallId, rebuilt: Result<Box<Rebuilt>, RebuildError>) {
        let Some(mut opening) = self.opening.remove(&call) else { return };
        let OpenStage::History(made) = std::mem::replace(&mut opening.stage, OpenStage::Setting)
        else {
            return;
        };
        let mut rebuilt = match rebuilt {
            Ok(rebuilt) => rebuilt,
            Err(error) => {
                let path = made.from.display();
                let text = format!("failed to load rollout `{path}`: {error}");
                return self.refuse_opening(opening, Refusal::invalid(text));
            }
        };
        if rebuilt.undecodable > 0 || rebuilt.ends_torn {
            tracing::warn!(
                lines = rebuilt.undecodable,
                torn = rebuilt.ends_torn,
                path = %made.from.display(),
                "a stored thread is damaged; what could be read was"
            );
        }
        let originator = self.session.originator();
        let (out, setup) = (&mut self.out, &self.setup);
        let (thread, copy) =
            Opening::restore(out, setup, originator, opening.kind, *made, &mut rebuilt);
        match copy {
            None => {
                let last_model = rebuilt.last_model.take();
                if !self.threads.contains_key(&thread.conversation.id) {
                    self.warn_of_other_model(&thread, last_model.as_deref());
                }
                self.opened(opening, thread, rebuilt.turns, rebuilt.events);
            }
            Some(copy) => {
                opening.stage = OpenStage::Copy(Box::new(thread), rebuilt.turns, rebuilt.events);
                self.wait_for(FileJob::Fork(copy), opening);
            }
        }
    }

    /// A copy is made: the new thread's own context follows it.
    pub(super) fn on_forked(&mut self, call: CallId, done: Result<(), FileError>) {
        let Some(mut opening) = self.opening.remove(&call) else { return };
        let OpenStage::Copy(mut thread, turns, events) =
            std::mem::replace(&mut opening.stage, OpenStage::Setting)
        else {
            return;
        };
        if let Err(err) = done {
            let text = format!("error forking thread: {err}");
            return self.refuse_opening(opening, Refusal::internal(text));
        }
        if opening.review.is_some()
            && let Some(source) =
                self.find_open(&opening.source).and_then(|id| self.threads.get(&id))
        {
            thread.conversation.follow(&source.conversation);
        }
        thread.conversation.record_context(self.out.now.wall);
        thread.conversation.flush(&mut self.out);
        self.opened(opening, *thread, turns, events);
    }

    /// The backend failed while a thread was on its way.
    pub(super) fn open_lost(&mut self, call: CallId) {
        if let Some(opening) = self.opening.remove(&call) {
            let text = format!("error creating thread: {}", FileError::lost());
            self.refuse_opening(opening, Refusal::internal(text));
        }
    }

    fn refuse_opening(&mut self, opening: Opening, mut refusal: Refusal) {
        if opening.review.is_some() {
            let text = format!("error creating detached review thread: {}", refusal.message);
            refusal = Refusal::internal(text);
        }
        self.out.refuse(opening.ticket, &refusal);
    }

    fn warn_of_other_model(&mut self, thread: &Thread, last: Option<&str>) {
        let now = &thread.conversation.settings.model;
        let Some(last) = last.filter(|last| last != now) else { return };
        let message = format!(
            "This session was recorded with model `{last}` but is resuming with `{now}`. Consider \
             switching back to `{last}` as it may affect Codex performance."
        );
        let voice = Voice::new(&thread.conversation, "".into());
        voice.event(&mut self.out, "codex/event/warning", || EventMsg::Warning { message });
    }

    /// A thread is there: the reply, then who hears of it (protocol.md §1.5).
    fn opened(
        &mut self,
        mut opening: Opening,
        mut thread: Thread,
        turns: Vec<Turn>,
        events: Vec<EventMsg<'static>>,
    ) {
        let id = thread.conversation.id;
        thread.used = self.out.now.mono;
        // The one that was opened last is the likeliest to be like it.
        if let Some((_, other)) = self.threads.last_key_value() {
            thread.conversation.share(&other.conversation);
        }
        // It may be open already, or since: then both have the one that is there.
        if let Some(open) = self.threads.remove(&id) {
            let joins = match opening.dialect {
                OpenDialect::V2 { .. } => Some(opening.ticket),
                OpenDialect::Legacy => {
                    self.reply_conversation(opening, &open, events);
                    None
                }
            };
            self.threads.insert(id, open);
            return joins.map_or((), |ticket| self.attach(ticket, id));
        }
        thread_opened(&mut self.out, &thread.conversation);
        let voice = Voice::new(&thread.conversation, "".into());
        let mut view = thread.view();
        view.turns = turns;
        let opening_kind = opening.kind;
        if opening_kind != OpenKind::Start {
            say_started(&voice, &mut self.out);
        }
        if let Some(order) = opening.review.take() {
            // A review has a reply of its own, after its thread is known.
            view.turns = Vec::new();
            self.out.notify("thread/started", ThreadStartedNotification { thread: &view });
            say_what_to_change(&voice, &mut self.out, &thread.conversation.config);
            thread.starts.push_back(Start::Review(opening.ticket, order));
            self.threads.insert(id, Box::new(thread));
            return self.begin_waiting(id);
        }
        match opening.dialect {
            OpenDialect::V2 { .. } => {
                let mut response = thread.open_response();
                response.thread = view.clone();
                self.out.reply(opening.ticket, response);
                if opening.kind != OpenKind::Resume {
                    let params = ThreadStartedNotification { thread: &view };
                    self.out.notify("thread/started", params);
                }
            }
            OpenDialect::Legacy => self.reply_conversation(opening, &thread, events),
        }
        say_what_to_change(&voice, &mut self.out, &thread.conversation.config);
        if opening_kind == OpenKind::Start {
            say_started(&voice, &mut self.out);
        }
        let voice = Voice::new(&thread.conversation, NO_TURN.into());
        voice.raw_items(&mut self.out, &mut thread.conversation);
        self.threads.insert(id, Box::new(thread));
        self.refresh_catalogue();
    }

    /// A client resumes a thread that is open: it joins (protocol.md §9 G8), also if its older turns
    /// cannot be shown then. To join with the answer would lose what happens until then.
    fn attach(&mut self, ticket: Ticket, id: ThreadId) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        let mut audience = thread.conversation.audience;
        audience.join_v2();
        self.set_audience(id, audience);
        self.ask_when_stored(id, |_| Asked::Attach { ticket, thread: id });
    }

    /// Changes who listens to a thread; the first listener hears what it has missed.
    pub(super) fn set_audience(&mut self, id: ThreadId, audience: thread::Audience) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        let was_empty = thread.conversation.audience.is_empty();
        thread.conversation.audience = audience;
        if let Some(turn) = &mut thread.turn {
            turn.set_audience(audience);
        }
        if was_empty && !audience.is_empty() {
            let id_text = thread.conversation.id_text.clone();
            self.out.catch_up(&id_text);
        }
    }
}

/// The turn of the raw items that a thread begins with (protocol.md §3, `thread/start`).
const NO_TURN: &str = "auto-compact-0";

/// Says that the thread's MCP servers are started: of a new thread after its reply, of others before
/// it, as the reference does.
fn say_started(voice: &Voice, out: &mut Outside) {
    voice.event(out, "codex/event/mcp_startup_complete", || {
        let (ready, failed, cancelled) = (Vec::new(), Vec::new(), Vec::new());
        EventMsg::McpStartupComplete { ready, failed, cancelled }
    });
}

/// Says which of its settings go away or are not finished (config.md §3.5).
fn say_what_to_change(voice: &Voice, out: &mut Outside, config: &Config) {
    for notice in &config.deprecations {
        voice.deprecated(out, notice);
    }
    if let Some(message) = &config.unstable_features_warning {
        let message = message.clone();
        voice.event(out, "codex/event/warning", || EventMsg::Warning { message });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};
    use crate::machine::bench::Bench;

    /// Each thread is told once, after its reply and in both dialects.
    #[test]
    fn settings_that_go_away_are_said() {
        let config = "experimental_use_unified_exec_tool = true\nfeatures.sqlite = true";
        let mut bench = Bench::with(MemoryFiles::new().with("/h/config.toml", config));
        for id in [1, 2] {
            bench.ask(id, "thread/start", json!({}));
            let said = bench.answered();
            let place = |method: &str| said.iter().position(|line| line["method"] == method);
            let summary = "`experimental_use_unified_exec_tool` is deprecated. Use \
                           `[features].unified_exec` instead.";
            let notice = place("deprecationNotice").expect("a notice");
            assert_eq!(said[notice]["params"]["summary"], summary);
            assert!(said[notice]["params"]["details"].is_string());
            let event = place("codex/event/deprecation_notice").expect("an event");
            assert_eq!(said[event]["params"]["msg"]["summary"], summary);
            assert!(Some(event) > place("thread/started") && event < notice);
            let warning = place("codex/event/warning").expect("a warning");
            let message = said[warning]["params"]["msg"]["message"].as_str().expect("a text");
            assert!(message.starts_with("Under-development features enabled: "), "{message}");
        }
        bench.ask(3, "thread/start", json!({"config": {"features.sqlite": false}}));
        let said = bench.answered();
        assert!(said.iter().all(|line| line["method"] != "codex/event/warning"), "{said:?}");
    }

    /// A thread has the settings of the files, or there is none.
    #[test]
    fn no_thread_is_opened_in_doubt_of_its_settings() {
        let files = MemoryFiles::new().with("/h/config.toml", "model = 'm'");
        let mut bench = Bench::with(files.clone());
        files.inject(|op, path| {
            let hit = op == FileOp::Read && path == Path::new("/h/config.toml");
            let text = "Input/output error (os error 5)".to_owned();
            hit.then_some(FileError { kind: FileErrorKind::Other, text })
        });
        let id = "00000000-0000-7000-8000-000000000000";
        let item = json!({"type": "message", "role": "user", "content": []});
        bench.ask(1, "thread/start", json!({}));
        bench.ask(2, "thread/resume", json!({"threadId": id, "history": [item]}));
        bench.ask(3, "newConversation", json!({}));
        let message = "error deriving config: Failed to read config file /h/config.toml: \
                       Input/output error (os error 5)";
        let refused = |id| json!({"id": id, "error": {"code": -32600, "message": message}});
        assert_eq!(bench.answered(), [refused(1), refused(2), refused(3)]);
        files.heal();
        bench.ask(4, "thread/start", json!({}));
        assert_eq!(bench.answered()[0]["result"]["model"], "m");
    }
}
