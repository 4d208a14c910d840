//! One session: desks with machines, and the steps that are taken there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use understudy_core::files::MemoryFiles;
use understudy_core::{CallId, OutputStream, ProcessFailureKind};

use super::ledger::{Ask, Ledger, Plan};
use super::reply::{self, Reply, Tool};
use super::rules::RULES;
use super::said::{Asked, SaidLine};
use super::setting::{Setting, SignedIn};
use super::step::{Act, Deed, Say, Step, Wait};
use crate::auth::grant::{Grant, Issued};
use crate::choose::Seeded;
use crate::sim::Violation;
use crate::sim::tally::Tally;
use crate::world::backend::Response;
use crate::world::disk::Harm;
use crate::world::fact::Purpose;
use crate::world::grammar::Grammar;
use crate::world::{Cut, Firing, World, log};

/// One machine with its host.
pub struct Desk {
    /// The machine and everything around it.
    pub world: World,
    /// The order of messages.
    pub grammar: Grammar,
    /// Every line of the host, by its number.
    pub said: Vec<SaidLine>,
    /// What requests without a reply are for, by id.
    pub open: BTreeMap<String, Asked>,
    /// Every question to the host.
    pub asks: Vec<Ask>,
    /// The call of the model that a program belongs to.
    pub owners: BTreeMap<CallId, usize>,
    /// Turns that are over, with how they ended.
    pub over: BTreeMap<String, String>,
    /// Turns that run, by thread.
    pub running: BTreeMap<String, String>,
    /// Listeners by the older method.
    pub listeners: Vec<String>,
    /// There may be threads to which nobody listens: the older methods were used.
    pub may_be_unheard: bool,
    /// The program that was left running last.
    pub session: Option<i64>,
    /// Since when it should be ending.
    pub ending_since: Option<Duration>,
    pub(super) requests: u64,
    /// It is the `n`th machine here.
    life: u64,
}

impl Desk {
    /// Whether a question waits for its answer.
    pub fn has_open_ask(&self) -> bool {
        self.asks.iter().any(|ask| ask.is_open)
    }
}

/// A session in progress.
pub struct Scene {
    /// How it was set up.
    pub setting: Setting,
    /// Where machines work.
    pub desks: Vec<Desk>,
    /// What was allowed, and what was promised.
    pub ledger: Ledger,
    /// The files of all.
    pub files: MemoryFiles,
    /// What was logged during the last step.
    pub log: String,
    /// What broke a rule while it was looked at: the rule's name and what was seen.
    pub trouble: Option<Violation>,
    /// What happened, in numbers.
    pub tally: Tally,
    /// What was reached.
    pub marks: BTreeSet<&'static str>,
    /// Rows that machines have asked that are gone.
    pub rows: BTreeSet<understudy_core::reached::Row>,
    /// Stands for the machines that are gone.
    pub digests: [u64; 2],
    pub(super) is_loud: bool,
    seed: u64,
    calls: usize,
    pub(super) tokens: usize,
}
impl Scene {
    /// A session that has just begun. The seed is the machines'.
    pub fn new(setting: &Setting, seed: u64, is_loud: bool) -> Self {
        log::take();
        log::set_fine(seed.is_multiple_of(4));
        let mut scene = Self {
            setting: setting.clone(),
            desks: Vec::new(),
            ledger: Ledger::default(),
            files: setting.files(),
            log: String::new(),
            trouble: None,
            tally: Tally::default(),
            marks: BTreeSet::new(),
            rows: BTreeSet::new(),
            digests: [0; 2],
            is_loud,
            seed,
            calls: 0,
            tokens: 0,
        };
        for number in 0..setting.machines {
            let desk = scene.begin(number, 0, Duration::from_secs(1));
            scene.desks.push(desk);
            scene.greet(number);
        }
        scene
    }

    fn begin(&self, number: usize, life: u64, mono: Duration) -> Desk {
        let mut bytes = [0; 32];
        let mut from = Seeded(self.seed ^ (number as u64) << 32 ^ life << 40);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&from.next_u64().to_le_bytes());
        }
        let mut world = World::whole(mono, self.setting.setup(), self.files.clone(), bytes);
        world.is_pushy = self.setting.pushy;
        Desk {
            world,
            grammar: Grammar::default(),
            said: Vec::new(),
            open: BTreeMap::new(),
            asks: Vec::new(),
            owners: BTreeMap::new(),
            over: BTreeMap::new(),
            running: BTreeMap::new(),
            listeners: Vec::new(),
            may_be_unheard: false,
            session: None,
            ending_since: None,
            requests: 0,
            life,
        }
    }

    /// Introduces the host, and signs it in if the tokens are its own.
    fn greet(&mut self, number: usize) {
        let hello = r#"{"clientInfo":{"name":"d","version":"1"}}"#;
        self.request(number, "initialize", hello, Asked::Other, Cut::Whole);
        if self.setting.signed_in == SignedIn::External {
            self.say(number, Say::Login, Cut::Whole);
        }
    }

    /// Another machine takes the place of one that has ended or is gone.
    pub(super) fn replace(&mut self, number: usize) {
        let desk = &self.desks[number];
        let (life, mono) = (desk.life + 1, desk.world.mono());
        self.rows.extend(desk.world.machine().rows_reached());
        self.digests[0] = self.digests[0].rotate_left(7) ^ desk.world.digest();
        self.digests[1] = self.digests[1].rotate_left(7) ^ desk.world.seen_digest();
        self.doubt(number);
        self.desks[number] = self.begin(number, life, mono);
        self.greet(number);
    }

    /// What becomes of threads that are about to be moved or cut is not known any more.
    pub(super) fn doubt(&mut self, number: usize) {
        for asked in self.desks[number].open.values() {
            if let Asked::Archive(id) | Asked::Unarchive(id) | Asked::RollBack(id, ..) = asked
                && let Some(thread) = self.ledger.threads.iter_mut().find(|t| t.id == *id)
            {
                thread.is_uncertain = true;
            }
        }
    }

    /// Takes a step and checks every rule.
    pub fn step(&mut self, step: &Step) -> Result<(), Violation> {
        let Step(number, deed) = step;
        let number = number % self.desks.len();
        self.take(number, deed);
        let mut has_effect = false;
        for at in 0..self.desks.len() {
            let facts = self.desks[at].world.take_facts();
            has_effect |= !facts.is_empty();
            for fact in &facts {
                if self.is_loud {
                    println!("    {at} {fact:?}");
                }
                self.see(at, fact);
            }
        }
        self.tally.step(step.fault().filter(|_| has_effect));
        self.log = log::take();
        if let Some(violation) = self.trouble.take() {
            return Err(violation);
        }
        for (rule, check) in RULES {
            if let Err(text) = check(self) {
                return Err(Violation { rule, text });
            }
        }
        Ok(())
    }

    // --- steps ---

    fn take(&mut self, number: usize, deed: &Deed) {
        match deed {
            Deed::Say(what, cut) => self.say(number, *what, *cut),
            Deed::Answer(nth, answering) => self.answer(number, *nth, *answering),
            Deed::Respond(nth, reply, piece) => {
                if let Some(call) = self.head(number, *nth, reply) {
                    self.finish(number, call, *piece);
                }
            }
            Deed::Head(nth, reply) => {
                self.head(number, *nth, reply);
            }
            Deed::Body(nth, len) => {
                if let Some(call) = self.begun_call(number, *nth) {
                    self.desks[number].world.body(call, *len);
                }
            }
            Deed::Finish(nth, piece) => {
                if let Some(call) = self.begun_call(number, *nth) {
                    self.finish(number, call, *piece);
                }
            }
            Deed::Fail(nth, kind) => {
                let calls = self.desks[number].world.http().iter().map(|http| http.call);
                if let Some(call) = newest(calls, *nth) {
                    self.desks[number].world.fail(call, *kind);
                }
            }
            Deed::Job(harm) => {
                if *harm != Harm::None {
                    self.ledger.may_reuse = true;
                    self.doubt(number);
                }
                self.ledger.tears += usize::from(matches!(harm, Harm::Torn(_)));
                self.desks[number].world.run_next_job(*harm);
            }
            Deed::Program(nth, act) => self.act(number, *nth, *act),
            Deed::Hold(is_held) => self.hold(number, *is_held),
            Deed::Wait(wait) => self.wait(number, *wait),
            Deed::StopReading => self.desks[number].world.set_reading(false),
            Deed::ResumeReading => {
                self.desks[number].world.set_reading(true);
                self.desks[number].world.flush(Cut::Whole);
            }
            Deed::Eof => {
                let desk = &mut self.desks[number];
                desk.world.eof();
                desk.ending_since.get_or_insert(desk.world.mono());
            }
            Deed::Crash(harm) => {
                self.ledger.may_reuse = true;
                self.ledger.tears += usize::from(matches!(harm, Harm::Torn(_)));
                self.desks[number].world.die(*harm);
                // What it had said before was said.
                for fact in self.desks[number].world.take_facts() {
                    self.see(number, &fact);
                }
                self.replace(number);
            }
            Deed::Begin => {
                if self.desks[number].world.exit().is_some() {
                    self.replace(number);
                }
            }
        }
    }

    fn begun_call(&self, number: usize, nth: usize) -> Option<CallId> {
        let begun = self.desks[number].world.http().iter().filter(|http| http.answer.is_some());
        newest(begun.map(|http| http.call), nth)
    }

    /// The rest of a response arrives. A long one comes in small pieces, as from a network: what one
    /// of them may add to the backlog is bounded.
    fn finish(&mut self, number: usize, call: CallId, piece: usize) {
        let world = &mut self.desks[number].world;
        let open = world.http().iter().find(|http| http.call == call);
        let len = open.and_then(|http| http.answer.as_ref()).map_or(0, |answer| answer.body.len());
        world.finish(call, if len > 100_000 { piece.min(1000) } else { piece });
    }

    /// The head of a response to the `nth` request that has none.
    fn head(&mut self, number: usize, nth: usize, reply: &Reply) -> Option<CallId> {
        let desk = &mut self.desks[number];
        let waiting = desk.world.http().iter().filter(|http| http.answer.is_none());
        let call = newest(waiting.map(|http| http.call), nth)?;
        let found = desk.world.http().iter().find(|http| http.call == call)?;
        let sent = std::rc::Rc::clone(&found.sent);
        match (sent.purpose, reply) {
            (Purpose::Turn, Reply::Calls(tools)) => {
                let thread = sent.thread.clone().unwrap_or_default();
                let first = self.calls;
                let body = reply::stream(first, tools, desk.session);
                if !desk.world.begin(call, 200, Vec::new(), body) {
                    return None;
                }
                self.calls += tools.len();
                self.plan(number, first, tools, &thread);
            }
            (Purpose::Refresh, reply) => return self.grant(number, call, &sent.body, reply),
            (_, Reply::Plain(response)) => desk.world.head(call, *response),
            (_, Reply::Calls(_)) => desk.world.head(call, Response::Say),
        }
        Some(call)
    }

    /// The calls of a response are noted with the rights of their thread.
    fn plan(&mut self, number: usize, first: usize, tools: &[Tool], thread: &str) {
        let Some(thread) = self.ledger.thread(thread) else { return };
        let place = (thread.id.clone(), number);
        let rights = thread.rights_at(number).to_vec();
        for (nth, tool) in tools.iter().enumerate() {
            let plan = Plan {
                tool: *tool,
                place: place.clone(),
                rights: rights.clone(),
                turn: None,
                is_over: false,
                agreed: [0; 2],
                started: 0,
            };
            self.ledger.plans.insert(first + nth, plan);
        }
    }

    /// The authority: each refresh token buys new tokens once.
    fn grant(&mut self, number: usize, call: CallId, body: &str, reply: &Reply) -> Option<CallId> {
        let (_, rest) = body.split_once("mtok")?;
        let (token, _) = rest.split_once('-')?;
        let token: usize = token.parse().ok()?;
        let is_refused = matches!(reply, Reply::Plain(response) if response.fault().is_some());
        let grant = if is_refused { Grant::Broken } else { Grant::Good };
        let issued = Issued::make(self.tokens + 1, grant);
        // No two tokens are of the same moment.
        self.wait(number, Wait::For(Duration::from_millis(1)));
        if !self.desks[number].world.answer(call, issued.status, issued.body) || is_refused {
            return None;
        }
        self.tokens += 1;
        let ledger = &mut self.ledger;
        if ledger.spent_tokens.contains(&token) && !ledger.may_reuse {
            let text = format!("refresh token {token} was used again");
            self.trouble.get_or_insert(Violation { rule: "s_tokens_are_spent_once", text });
        }
        self.marks.insert("tokens were renewed");
        ledger.spent_tokens.insert(token);
        ledger.good_token = self.tokens;
        None
    }

    fn act(&mut self, number: usize, nth: usize, act: Act) {
        let desk = &mut self.desks[number];
        let calls = desk.world.programs().iter().map(|program| program.spawned.call);
        let Some(call) = newest(calls, nth) else { return };
        let world = &mut desk.world;
        match act {
            Act::Says => world.program_says(call, OutputStream::Stdout, b"a line\n"),
            Act::Floods => world.program_says(call, OutputStream::Stderr, &[b'x'; 8192]),
            Act::IsDenied => {
                world.program_says(call, OutputStream::Stderr, b"touch: Permission denied\n");
                world.program_ends(call, 1);
            }
            Act::Ends(code) => world.program_ends(call, code),
            Act::NotThere => world.program_fails(call, ProcessFailureKind::Program),
            Act::NoSandbox => world.program_fails(call, ProcessFailureKind::NoSandbox),
            Act::Lost => world.lose_program(call),
        }
    }

    /// One machine at a time has the lock.
    fn hold(&mut self, number: usize, is_held: bool) {
        let is_taken = self.desks.iter().enumerate().any(|(at, desk)| {
            at != number
                && desk.world.exit().is_none()
                && desk.world.holds().iter().any(|hold| hold.is_answered)
        });
        let open = self.desks[number].world.holds().iter().find(|hold| !hold.is_answered);
        let Some(call) = open.map(|hold| hold.call) else { return };
        if is_held && is_taken {
            return;
        }
        self.ledger.may_reuse |= !is_held;
        self.desks[number].world.hold(call, is_held);
    }

    fn wait(&mut self, number: usize, wait: Wait) {
        let now = self.desks[number].world.mono();
        let next = self.desks[number].world.next_due().unwrap_or(now);
        let (end, firing) = match wait {
            Wait::For(time) => (now + time, Firing::OnTime),
            Wait::ToNext => (next, Firing::OnTime),
            Wait::Late => (next + Duration::from_millis(1), Firing::Late),
        };
        for (at, desk) in self.desks.iter_mut().enumerate() {
            desk.world.wait_until(end, if at == number { firing } else { Firing::OnTime });
        }
    }
}

pub(super) fn newest<T>(all: impl DoubleEndedIterator<Item = T> + Clone, nth: usize) -> Option<T> {
    let count = all.clone().count();
    if count == 0 { None } else { all.rev().nth(nth.min(count - 1)) }
}
