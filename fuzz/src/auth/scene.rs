//! One session: a world, the model that follows it, and what the last step brought.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use understudy_core::{AskId, CallId, RefreshDenied, Signal};

use super::grant::{Grant, Issued};
use super::invariants::INVARIANTS;
use super::model::login::{LoginStage, Proof, Visit};
use super::model::store::Record;
use super::model::{Model, Stage};
use super::said::{Answer, JUNK, Line, SaidLine, UUID};
use super::seen::Seen;
use super::setting::{AUTH_FILE, OTHER_WORKSPACE, Setting, WORKSPACE};
use super::step::{Answering, Change, Named, Say, Step, Wait, Which};
use super::tokens::{Kind, Login, Tokens, Wanted};
use crate::choose::Seeded;
pub use crate::sim::Violation;
pub use crate::sim::play::LIVENESS;
use crate::sim::tally::Tally;
use crate::world::backend::Response;
use crate::world::fact::{Job, Port, Purpose};
use crate::world::grammar::Grammar;
use crate::world::{Cut, Fault, Firing, World, log, wall};

/// What is known of a state on the way to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// Nothing.
    New,
    /// Everything comes to rest from there.
    Known,
    /// It was met on this way already.
    Circle,
}

/// A session in progress.
#[derive(Clone)]
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
    /// A file job that may be about credentials ran during the last step.
    pub has_touched_files: bool,
    /// Something was written into a file during the last step.
    pub has_written: bool,
    /// Whose records were stored before the last step.
    pub owners_before: Vec<String>,
    /// Tokens of other accounts that another process has stored.
    pub others_tokens: BTreeSet<String>,
    /// Turns that were interrupted keep their ids for later misuse.
    old_turns: Vec<String>,
    tokens_made: usize,
    requests: u64,
    /// What happened, in numbers.
    pub tally: Tally,
    /// It says what happens.
    pub is_loud: bool,
}

impl Scene {
    /// A session that has just begun. The seed is the machine's.
    pub fn new(setting: &Setting, seed: u64) -> Self {
        log::take();
        log::set_fine(seed.is_multiple_of(4));
        let (setup, files, keyring) = setting.make();
        let mut bytes = [0; 32];
        let mut from = Seeded(seed);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&from.next_u64().to_le_bytes());
        }
        let mut world = World::new(setup, files, keyring, bytes);
        world.is_pushy = setting.pushy;
        world.skims = true;
        Self {
            setting: setting.clone(),
            world,
            model: Model::new(setting),
            grammar: Grammar::default(),
            grammar_trouble: None,
            seen: Vec::new(),
            log: String::new(),
            has_touched_files: false,
            has_written: false,
            owners_before: Vec::new(),
            others_tokens: BTreeSet::new(),
            old_turns: Vec::new(),
            tokens_made: 0,
            requests: 0,
            tally: Tally::default(),
            is_loud: false,
        }
    }

    /// The same session once more, to be gone on with in another way.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut fork = self.clone();
        fork.world.part();
        fork
    }

    /// Takes a step and checks every invariant.
    pub fn step(&mut self, step: &Step) -> Result<(), Violation> {
        self.has_touched_files = match step {
            Step::Job(nth, _) => self.job(*nth).is_some_and(|(_, kind)| kind != Job::Thread),
            _ => false,
        };
        if self.has_touched_files {
            self.owners_before = self.owners();
        }
        let written_before = self.world.files.writes();
        self.take(step);
        self.has_written = self.world.files.writes() != written_before;
        self.check(step)
    }

    fn check(&mut self, step: &Step) -> Result<(), Violation> {
        let facts = self.world.take_facts();
        self.tally.step(step.fault().filter(|_| !facts.is_empty()));
        for fact in &facts {
            if self.is_loud {
                println!("    {fact:?}");
            }
            self.model.see(fact);
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
                if let Some((call, _)) = self.job(*nth) {
                    self.world.run_job(call, *fault);
                }
            }
            Step::Listen(port) => {
                if let Some(call) = self.world.listener().map(|listener| listener.call) {
                    self.world.listen(call, *port);
                }
            }
            Step::Visit(visit, proof) => self.visit(*visit, *proof),
            Step::Hold(is_held) => {
                if let Some(call) = self.open_hold() {
                    self.world.hold(call, *is_held);
                }
            }
            Step::Grant(nth, grant) => self.grant(*nth, *grant),
            Step::Elsewhere(change) => self.change_elsewhere(*change),
            Step::Wait(wait) => self.wait(*wait),
            Step::StopReading => self.world.set_reading(false),
            Step::Read(most) => self.world.read(*most),
            Step::ResumeReading => self.world.set_reading(true),
            Step::Eof => self.world.eof(),
            Step::Terminate => self.world.signal(Signal::Terminate),
        }
    }

    /// The `nth` file job, counted round.
    fn job(&self, nth: usize) -> Option<(CallId, Job)> {
        let jobs = self.world.jobs().len();
        self.world.jobs().nth(nth % jobs.max(1))
    }

    fn open_hold(&self) -> Option<CallId> {
        self.world.holds().iter().find(|hold| !hold.is_answered).map(|hold| hold.call)
    }

    /// The `nth` request to the token authority that has no answer.
    fn authority_call(&self, nth: usize) -> Option<(CallId, Purpose)> {
        let waiting = self.world.http().iter().filter(|http| http.answer.is_none());
        let asked = waiting.filter(|http| http.sent.purpose.is_authority());
        newest(asked.map(|http| (http.call, http.sent.purpose)), nth)
    }

    fn grant(&mut self, nth: usize, grant: Grant) {
        let Some((call, purpose)) = self.authority_call(nth) else { return };
        self.tokens_made += 1;
        let issued = Issued::to(purpose, self.tokens_made, grant);
        if self.world.answer(call, issued.status, issued.body.clone()) {
            self.model.issued.insert(call, issued);
        }
    }

    fn visit(&mut self, visit: Visit, proof: Proof) {
        let attempt = self.model.attempt.as_ref();
        let own = attempt.and_then(|attempt| attempt.state.clone());
        let states = &self.model.states;
        let state = match proof {
            Proof::Right => own.unwrap_or_default(),
            // An earlier login's, if there was one.
            Proof::Wrong => {
                let older = states.iter().rev().find(|state| Some(*state) != own.as_ref());
                older.map_or("nobody-knows", String::as_str).to_owned()
            }
            Proof::Missing => String::new(),
        };
        let number = self.model.visits.len();
        let code = format!("code-{number}-");
        let path = match visit {
            Visit::Code | Visit::Denied | Visit::NoCode => "/auth/callback",
            Visit::Cancel => "/cancel",
            Visit::Success => "/success",
            Visit::Elsewhere => "/favicon.ico",
        };
        let rest = match visit {
            Visit::Code => format!("code={code}"),
            Visit::Denied => "error=access_denied&error_description=not+today".to_owned(),
            Visit::NoCode => "code=".to_owned(),
            Visit::Cancel | Visit::Success | Visit::Elsewhere => "x=1".to_owned(),
        };
        let state = if proof == Proof::Missing { state } else { format!("&state={state}") };
        self.model.visits.push((visit, proof, code));
        self.world.visit(number, format!("{path}?{rest}{state}"));
    }

    /// Another process changes what is stored.
    fn change_elsewhere(&mut self, change: Change) {
        self.tokens_made += 1;
        let n = self.tokens_made;
        let later = wall(self.world.mono()) + Duration::from_secs(1);
        let account = self.model.login.account.as_deref().unwrap_or(WORKSPACE);
        let other = if account == WORKSPACE { OTHER_WORKSPACE } else { WORKSPACE };
        let of = |login: Login| {
            let text = match login.kind {
                Kind::Managed => login.record("chatgpt"),
                _ => format!(r#"{{"auth_mode":"apikey","OPENAI_API_KEY":"{}"}}"#, login.token),
            };
            (Record::Of(Rc::new(login)), Some(text))
        };
        let (record, text) = match change {
            Change::Refreshed => of(Login::managed(n, account, later)),
            Change::OtherAccount => of(Login::managed(n, other, later)),
            Change::Key => of(Login::key(&format!("skey-{n}"))),
            Change::Removed => (Record::Nothing, None),
            Change::Garbage => (Record::Broken, Some("{ skey-of-a-broken-file".to_owned())),
        };
        if let (Record::Of(login), Change::OtherAccount | Change::Key) = (&record, change) {
            self.others_tokens.insert(login.token.clone());
        }
        self.model.stores.put(record);
        self.setting.put(&self.world.files, &self.world.keyring, text);
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
        let is_text = n.is_multiple_of(4) && !self.setting.numbers_only;
        let id = if is_text { format!("\"r{n}\"") } else { n.to_string() };
        let text = line.text(&id);
        let number = self.model.said.len();
        let id = line.is_request().then_some(id);
        self.model.said.push(SaidLine { id, line });
        self.world.say(number, &text, hold, cut);
    }

    fn meaning(&mut self, what: Say) -> Line {
        match what {
            Say::Initialize => Line::Initialize { hears_twice: self.setting.hears_twice },
            Say::LoginKey { legacy, is_empty } => {
                self.tokens_made += 1;
                let key = format!("skey-{}", self.tokens_made);
                Line::LoginKey { key: if is_empty { String::new() } else { key }, legacy }
            }
            Say::LoginTokens(wanted) => Line::LoginTokens(self.make_tokens(wanted)),
            Say::LoginChatGpt { legacy } => Line::LoginChatGpt { legacy },
            Say::LoginDevice => Line::LoginDevice,
            Say::CancelLogin { legacy, which } => {
                let open = self.model.attempt.as_ref().and_then(|attempt| attempt.id.clone());
                let id = match which {
                    Which::Open => open.or_else(|| self.model.ended_logins.last().cloned()),
                    Which::Ended => self.model.ended_logins.last().cloned(),
                    Which::Unknown => None,
                };
                Line::CancelLogin { legacy, id: id.unwrap_or_else(|| UUID.to_owned()) }
            }
            Say::RateLimits => Line::RateLimits,
            Say::Logout { legacy } => Line::Logout { legacy },
            Say::ReadAccount { refresh } => Line::ReadAccount { refresh },
            Say::Status { include, refresh } => Line::Status { include, refresh },
            Say::UserInfo => Line::UserInfo,
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
        self.heal_until(|_| Healing::New)
    }

    /// The same; `look` says before each step but the first what it knows of the state.
    pub fn heal_until(&mut self, mut look: impl FnMut(&Self) -> Healing) -> Result<(), Violation> {
        let fail = |text: &str| Err(Violation { rule: LIVENESS, text: text.to_owned() });
        self.step(&Step::ResumeReading)?;
        self.step(&Step::Flush)?;
        for taken in 0..1000 {
            match if taken == 0 { Healing::New } else { look(self) } {
                Healing::New => {}
                Healing::Known => return Ok(()),
                Healing::Circle => return fail("the session goes round in circles"),
            }
            let Some(step) = self.healing() else { return self.check_rest() };
            self.step(&step)?;
        }
        fail("the session does not come to rest")
    }

    fn healing(&self) -> Option<Step> {
        if self.world.exit().is_some() {
            return None;
        }
        if self.world.jobs().len() > 0 {
            return Some(Step::Job(0, Fault::None));
        }
        if self.world.listener().is_some_and(|listener| !listener.is_open) {
            return Some(Step::Listen(Port::Granted));
        }
        if self.open_hold().is_some() {
            return Some(Step::Hold(true));
        }
        // Whether somebody comes in a browser, or types the code, is as it happens.
        let has_user = self.requests.is_multiple_of(2);
        let open = self.world.http().iter().rev().filter(|http| http.answer.is_none());
        let mut open = open.map(|http| http.sent.purpose);
        let is_answered = |purpose| has_user || purpose != Purpose::Poll;
        let mut asked = open.clone().filter(|purpose| purpose.is_authority());
        if let Some(nth) = asked.position(is_answered) {
            return Some(Step::Grant(nth, Grant::Good));
        }
        let attempt = self.model.attempt.as_ref();
        let is_open = attempt.is_some_and(|attempt| matches!(attempt.stage, LoginStage::Waiting));
        if is_open && has_user && self.world.listener().is_some() {
            return Some(Step::Visit(Visit::Code, Proof::Right));
        }
        if let Some(nth) = open.position(is_answered) {
            return Some(Step::Respond(nth, Response::Say, 1 << 16));
        }
        if self.answered_call(0).is_some() {
            return Some(Step::Finish(0, 1 << 16));
        }
        // Nobody listens to the host at the end.
        let listens = self.model.stage < Stage::Closing;
        if listens && self.model.refresh.as_ref().is_some_and(|refresh| refresh.ask.is_some()) {
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
        let never = self.model.accepted.iter().find(|(_, completions)| **completions != 1);
        if let Some((id, completions)) = never {
            return fail(format!("login {id} has {completions} completions"));
        }
        for what in
            [Say::Status { include: true, refresh: false }, Say::ReadAccount { refresh: false }]
        {
            self.step(&Step::Say(what, false, Cut::Whole))?;
        }
        self.step(&Step::Eof)?;
        if self.world.exit().is_none() {
            return Err(Violation { rule: LIVENESS, text: "no end after the input".to_owned() });
        }
        Ok(())
    }

    /// What is stored in `auth.json`.
    pub fn auth_file(&self) -> Option<String> {
        let bytes = self.world.files.content(AUTH_FILE)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What is stored in the keyring.
    pub fn keyring_entry(&self) -> Option<String> {
        self.world.keyring.secrets().pop()
    }

    /// Whose records are stored, in the file and in the keyring.
    pub fn owners(&self) -> Vec<String> {
        let (file, entry) = (self.auth_file(), self.keyring_entry());
        [file, entry].iter().map(|text| Record::owner_of(text.as_deref())).collect()
    }
}

fn newest<T>(all: impl DoubleEndedIterator<Item = T> + Clone, nth: usize) -> Option<T> {
    let count = all.clone().count();
    if count == 0 { None } else { all.rev().nth(nth.min(count - 1)) }
}
