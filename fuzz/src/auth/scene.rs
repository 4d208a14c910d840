//! One session: a world, the model that follows it, and what the last step brought.

use std::time::Duration;

use understudy_core::{AskId, CallId, RefreshDenied, Signal};

use super::invariants::INVARIANTS;
use super::model::{Model, Stage};
use super::said::{Answer, JUNK, Line, SaidLine};
use super::seen::Seen;
use super::setting::{AUTH_FILE, Setting};
use super::step::{Answering, Named, Say, Step, Wait};
use super::tokens::{Tokens, Wanted};
use crate::choose::Seeded;
use crate::world::backend::Response;
use crate::world::grammar::Grammar;
use crate::world::{Cut, Fault, Firing, World, log};

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's name in [`INVARIANTS`].
    pub rule: &'static str,
    /// What was seen.
    pub text: String,
}

/// A session in progress.
pub struct Scene {
    /// How it was set up.
    pub setting: Setting,
    /// The machine and everything around it.
    pub world: World,
    /// What should be so.
    pub model: Model,
    /// The order of messages.
    pub grammar: Grammar,
    /// What broke the grammar, if anything did.
    pub grammar_trouble: Option<String>,
    /// What the last step brought.
    pub seen: Vec<Seen>,
    /// What was logged during the last step.
    pub log: String,
    /// A file job ran during the last step.
    pub has_touched_files: bool,
    /// Turns that were interrupted keep their ids for later misuse.
    old_turns: Vec<String>,
    tokens_made: usize,
    requests: u64,
}

impl Scene {
    /// A session that has just begun. The seed is the machine's.
    pub fn new(setting: &Setting, seed: u64) -> Self {
        log::take();
        let (setup, files) = setting.make();
        let mut bytes = [0; 32];
        let mut from = Seeded(seed);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&from.next_u64().to_le_bytes());
        }
        let mut world = World::new(setup, files, bytes);
        world.is_pushy = setting.pushy;
        Self {
            setting: setting.clone(),
            world,
            model: Model::new(setting),
            grammar: Grammar::default(),
            grammar_trouble: None,
            seen: Vec::new(),
            log: String::new(),
            has_touched_files: false,
            old_turns: Vec::new(),
            tokens_made: 0,
            requests: 0,
        }
    }

    /// Takes a step and checks every invariant.
    pub fn step(&mut self, step: &Step) -> Result<(), Violation> {
        self.has_touched_files = matches!(step, Step::Job(..));
        self.take(step);
        self.check()
    }

    fn check(&mut self) -> Result<(), Violation> {
        for fact in self.world.take_facts() {
            self.model.see(&fact);
        }
        self.seen = std::mem::take(&mut self.model.seen);
        self.follow_grammar();
        self.log = log::take();
        for (rule, check) in INVARIANTS {
            if let Err(text) = check(self) {
                return Err(Violation { rule, text });
            }
        }
        Ok(())
    }

    fn follow_grammar(&mut self) {
        for seen in &self.seen {
            match seen {
                Seen::Asks(id, method) => self.grammar.asked(id, method),
                Seen::Heard(heard) => {
                    if let Some(params) = heard.notice("turn/started")
                        && let Some(id) = params["turn"]["id"].as_str()
                    {
                        self.old_turns.push(id.to_owned());
                    }
                    if let Err(text) = self.grammar.heard(heard) {
                        self.grammar_trouble.get_or_insert(text);
                    }
                }
                _ => {}
            }
        }
    }

    // --- steps ---

    fn take(&mut self, step: &Step) {
        match step {
            Step::Say(what, hold, cut) => self.say(*what, *hold, *cut),
            Step::Flush => self.world.flush(Cut::Whole),
            Step::Answer(nth, answering) => self.answer(*nth, *answering),
            Step::Respond(nth, response, piece) => {
                if let Some(call) = self.unanswered_call(*nth) {
                    self.world.head(call, *response);
                    self.world.finish(call, *piece);
                }
            }
            Step::Head(nth, response) => {
                if let Some(call) = self.unanswered_call(*nth) {
                    self.world.head(call, *response);
                }
            }
            Step::Body(nth, len) => {
                if let Some(call) = self.answered_call(*nth) {
                    self.world.body(call, *len);
                }
            }
            Step::Finish(nth, piece) => {
                if let Some(call) = self.answered_call(*nth) {
                    self.world.finish(call, *piece);
                }
            }
            Step::Fail(nth, kind) => {
                if let Some(call) = self.call(*nth) {
                    self.world.fail(call, *kind);
                }
            }
            Step::Lose(nth) => {
                if let Some(call) = self.call(*nth) {
                    self.world.lose(call);
                }
            }
            Step::StaleCall(nth, response) => self.world.answer_stale(*nth, *response),
            Step::StaleTimer(nth) => self.world.fire_stale(*nth),
            Step::Job(nth, fault) => {
                let jobs = self.world.jobs().len();
                let job = self.world.jobs().nth(nth % jobs.max(1));
                if let Some((call, _)) = job {
                    self.world.run_job(call, *fault);
                }
            }
            Step::Wait(wait) => self.wait(*wait),
            Step::StopReading => self.world.set_reading(false),
            Step::Read(most) => self.world.read(*most),
            Step::ResumeReading => self.world.set_reading(true),
            Step::Eof => self.world.eof(),
            Step::Terminate => self.world.signal(Signal::Terminate),
        }
    }

    fn call(&self, nth: usize) -> Option<CallId> {
        newest(self.world.http().iter().map(|http| http.call), nth)
    }

    fn unanswered_call(&self, nth: usize) -> Option<CallId> {
        let waiting = self.world.http().iter().filter(|http| http.answer.is_none());
        newest(waiting.map(|http| http.call), nth)
    }

    fn answered_call(&self, nth: usize) -> Option<CallId> {
        let begun = self.world.http().iter().filter(|http| http.answer.is_some());
        newest(begun.map(|http| http.call), nth)
    }

    fn wait(&mut self, wait: Wait) {
        let now = self.world.mono();
        let next = self.world.next_due().unwrap_or(now);
        let tick = Duration::from_millis(1);
        let (end, firing) = match wait {
            Wait::For(time) => (now + time, Firing::OnTime),
            Wait::ToNext => (next, Firing::OnTime),
            Wait::JustBefore => (next.saturating_sub(tick), Firing::OnTime),
            Wait::JustAfter => (next + tick, Firing::Late),
            Wait::NotYet => (next, Firing::NotYet),
            Wait::PastRefresh => (now + self.setting.limit + tick, Firing::OnTime),
        };
        self.world.wait_until(end, firing);
    }

    fn make_tokens(&mut self, wanted: Wanted) -> Tokens {
        self.tokens_made += 1;
        Tokens::make(self.tokens_made, wanted)
    }

    fn say(&mut self, what: Say, hold: bool, cut: Cut) {
        let line = self.meaning(what);
        self.tell(line, hold, cut);
    }

    fn tell(&mut self, line: Line, hold: bool, cut: Cut) {
        self.requests += 1;
        let n = self.requests;
        let id = if n.is_multiple_of(4) { format!("\"r{n}\"") } else { n.to_string() };
        let text = line.text(&id);
        let number = self.model.said.len();
        let id = line.is_request().then_some(id);
        self.model.said.push(SaidLine { id, line });
        self.world.say(number, &text, hold, cut);
    }

    fn meaning(&mut self, what: Say) -> Line {
        match what {
            Say::Initialize => Line::Initialize,
            Say::LoginKey { legacy, is_empty } => {
                self.tokens_made += 1;
                let key = format!("skey-{}", self.tokens_made);
                Line::LoginKey { key: if is_empty { String::new() } else { key }, legacy }
            }
            Say::LoginTokens(wanted) => Line::LoginTokens(self.make_tokens(wanted)),
            Say::LoginChatGpt { legacy } => Line::LoginChatGpt { legacy },
            Say::CancelLogin { legacy } => Line::CancelLogin { legacy },
            Say::Logout { legacy } => Line::Logout { legacy },
            Say::ReadAccount { refresh } => Line::ReadAccount { refresh },
            Say::Status { include } => Line::Status { include },
            Say::UserInfo => Line::UserInfo,
            Say::RateLimits => Line::RateLimits,
            Say::Agent => Line::Agent,
            Say::StartThread => Line::StartThread,
            Say::StartTurn { slot, is_empty } => {
                Line::StartTurn { thread: self.thread(slot), is_empty }
            }
            Say::Interrupt { slot, named } => {
                let thread = self.thread(slot);
                let running = self.model.running(&thread).and_then(|turn| turn.id.clone());
                let turn = match named {
                    Named::Blank => None,
                    Named::Wrong => self.old_turns.first().cloned(),
                    Named::Right => running.or_else(|| self.old_turns.last().cloned()),
                };
                Line::Interrupt { thread, turn }
            }
            Say::Junk(which) => Line::Junk(JUNK[which % JUNK.len()]),
        }
    }

    fn thread(&self, slot: usize) -> String {
        let unknown = "01234567-89ab-7def-8123-456789abcdef";
        self.model.threads.get(slot).map_or(unknown, String::as_str).to_owned()
    }

    fn answer(&mut self, nth: usize, answering: Answering) {
        let Some(AskId(ask)) = newest(self.model.asks.iter().copied(), nth) else { return };
        let answer = match answering {
            Answering::Tokens(wanted) => Answer::Tokens(self.make_tokens(wanted)),
            Answering::Both => Answer::Both(self.make_tokens(Wanted::GOOD)),
            Answering::TextId => Answer::TextId(self.make_tokens(Wanted::GOOD)),
            Answering::Denied => Answer::Denied,
            Answering::OddError => Answer::OddError,
            Answering::Malformed(which) => Answer::Malformed(which),
        };
        if !self.setting.embedder {
            return self.tell(Line::Answer { ask, answer }, false, Cut::Whole);
        }
        if self.model.stage >= Stage::Closing {
            return;
        }
        // In process there is nothing but tokens or a refusal.
        let (answer, result) = match answer {
            Answer::Tokens(tokens) | Answer::Both(tokens) | Answer::TextId(tokens) => {
                let fresh = tokens.fresh();
                (Answer::Tokens(tokens), Ok(fresh))
            }
            Answer::Denied | Answer::OddError | Answer::Malformed(_) => {
                let message = "not today".to_owned();
                (Answer::Denied, Err(RefreshDenied { code: -32001, message }))
            }
        };
        let number = self.model.said.len();
        self.model.said.push(SaidLine { id: None, line: Line::Answer { ask, answer } });
        self.world.embedder(AskId(ask), number, result);
    }

    // --- the end ---

    /// Heals everything: the host reads, jobs succeed, the backend answers, the host has tokens.
    /// Then nothing may be left.
    pub fn heal(&mut self) -> Result<(), Violation> {
        self.step(&Step::ResumeReading)?;
        self.step(&Step::Flush)?;
        for _ in 0..1000 {
            let Some(step) = self.healing() else { return self.check_rest() };
            self.step(&step)?;
        }
        Err(Violation { rule: LIVENESS, text: "the session does not come to rest".to_owned() })
    }

    fn healing(&self) -> Option<Step> {
        if self.world.exit().is_some() {
            return None;
        }
        if self.world.jobs().len() > 0 {
            return Some(Step::Job(0, Fault::None));
        }
        if self.unanswered_call(0).is_some() {
            return Some(Step::Respond(0, Response::Say, 1 << 16));
        }
        if self.answered_call(0).is_some() {
            return Some(Step::Finish(0, 1 << 16));
        }
        if self.model.refresh.as_ref().is_some_and(|refresh| refresh.ask.is_some()) {
            return Some(Step::Answer(0, Answering::Tokens(Wanted::GOOD)));
        }
        (self.world.timers() > 0).then_some(Step::Wait(Wait::ToNext))
    }

    /// What must hold once nothing is going on any more; then the session is ended.
    fn check_rest(&mut self) -> Result<(), Violation> {
        let fail = |text: String| Err(Violation { rule: LIVENESS, text });
        if self.world.exit().is_some() {
            return Ok(());
        }
        if let Some(id) = self.grammar.unanswered().first() {
            return fail(format!("request {id} has no reply"));
        }
        if let Some((thread, turn)) = self.grammar.running().next() {
            return fail(format!("turn {turn} of {thread} is not completed"));
        }
        let open = self.world.machine().open_work();
        if open != understudy_core::OpenWork::default() {
            return fail(format!("something is left: {open:?}"));
        }
        for what in [Say::Status { include: true }, Say::ReadAccount { refresh: false }] {
            self.step(&Step::Say(what, false, Cut::Whole))?;
        }
        self.step(&Step::Eof)?;
        if self.world.exit().is_none() {
            return Err(Violation { rule: LIVENESS, text: "no end after the input".to_owned() });
        }
        Ok(())
    }

    /// What is stored in `auth.json`.
    pub fn auth_file(&self) -> Option<Vec<u8>> {
        self.world.files.content(AUTH_FILE)
    }
}

/// The name of the rule that everything comes to rest.
pub const LIVENESS: &str = "liveness_everything_comes_to_rest";

fn newest<T>(all: impl DoubleEndedIterator<Item = T> + Clone, nth: usize) -> Option<T> {
    let count = all.clone().count();
    if count == 0 { None } else { all.rev().nth(nth.min(count - 1)) }
}
