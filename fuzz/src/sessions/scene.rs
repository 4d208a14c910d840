//! One session: desks with machines, the ledger of what was allowed and promised, and the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use understudy_core::files::MemoryFiles;
use understudy_core::{CallId, OutputStream, ProcessFailureKind};

use super::reply::{self, Reply, Tool};
use super::rules::RULES;
use super::setting::{Setting, SignedIn};
use super::step::{Act, Answering, Deed, Say, Step, Wait};
use super::table::{Policy, Sandbox};
use crate::auth::grant::{Grant, Issued};
use crate::auth::tokens::{Tokens, Wanted};
use crate::choose::Seeded;
use crate::sim::Violation;
use crate::sim::play::LIVENESS;
use crate::sim::tally::Tally;
use crate::world::backend::Response;
use crate::world::disk::Harm;
use crate::world::fact::Purpose;
use crate::world::grammar::Grammar;
use crate::world::{Cut, Firing, World, log};

/// A thread, as far as anybody was told.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// Whose it is: no other machine writes its file.
    pub desk: usize,
    /// When its user wants to be asked.
    pub policy: Policy,
    /// What holds its commands back.
    pub sandbox: Sandbox,
    /// It was put away.
    pub is_archived: bool,
    /// Something happened to it whose outcome nobody was told.
    pub is_uncertain: bool,
    /// Requests that may move or cut it, and that have no reply.
    pub moves: u32,
    /// Its turns that were announced as completed, in order.
    pub announced: Vec<Told>,
}

impl Thread {
    /// A thread that has just been opened.
    pub fn new(id: &str, desk: usize, policy: Policy, sandbox: Sandbox) -> Self {
        let (is_archived, is_uncertain, moves) = (false, false, 0);
        let (id, announced) = (id.to_owned(), Vec::new());
        Self { id, desk, policy, sandbox, is_archived, is_uncertain, moves, announced }
    }

    /// Nobody can say what is in its file, or where that is.
    pub fn is_unsettled(&self) -> bool {
        self.is_uncertain || self.is_archived || self.moves > 0
    }
}

/// A turn that was announced as completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub status: String,
    /// It was said that it could not be stored.
    pub is_unstored: bool,
}

/// A call of a tool that the model has made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it asks for.
    pub tool: Tool,
    /// When the user of its thread wants to be asked.
    pub policy: Policy,
    /// What holds commands of its thread back.
    pub sandbox: Sandbox,
    /// Its turn, once its item was shown.
    pub turn: Option<String>,
    /// Its item is completed.
    pub is_over: bool,
    /// How often the user has agreed, to the first question about it and to another.
    pub agreed: [u32; 2],
    /// How often a program was started for it.
    pub started: u32,
}

/// What was allowed, and what was promised.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every thread that there ever was.
    pub threads: Vec<Thread>,
    /// Every call of the model, by its number.
    pub plans: BTreeMap<usize, Plan>,
    /// The refresh token that the authority takes.
    pub good_token: usize,
    /// Those that it has taken.
    pub spent_tokens: BTreeSet<usize>,
    /// Tokens may have been lost on their way to the disk, and nobody is to blame.
    pub may_reuse: bool,
}

impl Ledger {
    /// A thread by its id.
    pub fn thread(&mut self, id: &str) -> Option<&mut Thread> {
        self.threads.iter_mut().find(|thread| thread.id == id)
    }
}

/// A question to the host.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its id.
    pub id: i64,
    /// What it is about.
    pub about: About,
    /// It has no answer, and what it is about is not over.
    pub is_open: bool,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A command or a patch; whether it is a second question about it.
    Plan(usize, bool),
    /// Something that the model wants to know.
    User,
    /// Tokens.
    Tokens,
    /// Something else.
    Other,
}

/// What the host has said.
#[derive(Clone, Debug)]
pub enum Asked {
    /// For a thread with these rights.
    Start(Policy, Sandbox),
    /// For a stored thread.
    Resume(String),
    /// For a copy of a thread that has at least these turns.
    Fork(String, Policy, Sandbox, Vec<String>),
    /// To put a thread away.
    Archive(String),
    /// To have it back.
    Unarchive(String),
    /// To take the last turns back, so many; those that it is about are known when it arrives.
    RollBack(String, usize, Vec<String>),
    /// To see a thread that has at least these turns.
    Read(Vec<Told>),
    /// An answer to a question: whether it agrees.
    Answer(i64, bool),
    /// Anything else.
    Other,
}

/// A line of the host.
#[derive(Clone, Debug)]
pub struct SaidLine {
    /// Its id and method, if it is a request.
    pub request: Option<(String, &'static str)>,
    /// What it is for.
    pub asked: Asked,
}

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
    /// The program that was left running last.
    pub session: Option<i64>,
    /// Since when it should be ending.
    pub ending_since: Option<Duration>,
    requests: u64,
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
    tokens: usize,
}

/// Requests that have no part of their own, with `@` for a thread's id.
pub const ANY: &[(&str, &str)] = &[
    ("initialize", r#"{"clientInfo":{"name":"d","version":"1"}}"#),
    ("thread/name/set", r#"{"threadId":"@","name":"a name"}"#),
    ("thread/list", r#"{}"#),
    ("thread/list", r#"{"archived":true,"limit":1}"#),
    ("thread/loaded/list", r#"{}"#),
    ("skills/list", r#"{}"#),
    ("app/list", r#"{}"#),
    ("skills/config/write", r#"{"path":"/home/user/.codex/skills/x/SKILL.md","enabled":false}"#),
    ("model/list", r#"{}"#),
    ("collaborationMode/list", r#"{}"#),
    ("mcpServer/oauth/login", r#"{"name":"none"}"#),
    ("config/mcpServer/reload", "null"),
    ("mcpServerStatus/list", r#"{}"#),
    ("account/login/cancel", r#"{"loginId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    ("account/rateLimits/read", "null"),
    ("feedback/upload", r#"{"classification":"bug","includeLogs":false}"#),
    ("config/read", r#"{}"#),
    (
        "config/value/write",
        r#"{"keyPath":"history.max_bytes","value":5,"mergeStrategy":"replace"}"#,
    ),
    ("config/batchWrite", r#"{"edits":[]}"#),
    ("configRequirements/read", "null"),
    ("account/read", r#"{}"#),
    ("getConversationSummary", r#"{"conversationId":"@"}"#),
    ("listConversations", r#"{}"#),
    ("interruptConversation", r#"{"conversationId":"@"}"#),
    ("gitDiffToRemote", r#"{"cwd":"/work"}"#),
    ("cancelLoginChatGpt", r#"{"loginId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    ("getAuthStatus", r#"{"includeToken":false}"#),
    ("getUserSavedConfig", "null"),
    ("setDefaultModel", r#"{"model":"gpt-5"}"#),
    ("getUserAgent", "null"),
    ("userInfo", "null"),
    ("fuzzyFileSearch", r#"{"query":"a","roots":["/work"]}"#),
    ("execOneOffCommand", r#"{"command":["ls","x1"]}"#),
    ("addConversationListener", r#"{"conversationId":"@"}"#),
    ("removeConversationListener", r#"{"subscriptionId":"01234567-89ab-7def-8123-456789abcdef"}"#),
    (
        "archiveConversation",
        r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","rolloutPath":"/nowhere"}"#,
    ),
    ("resumeConversation", r#"{"path":"/nowhere"}"#),
    ("forkConversation", r#"{"path":"/nowhere"}"#),
    ("newConversation", r#"{}"#),
    ("sendUserMessage", r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","items":[]}"#),
    (
        "sendUserTurn",
        r#"{"conversationId":"01234567-89ab-7def-8123-456789abcdef","items":[],"cwd":"/work","approvalPolicy":"never","sandboxPolicy":{"mode":"read-only"},"model":"gpt-5","summary":"auto"}"#,
    ),
];

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
        let _ = number;
        let Some(thread) = self.ledger.thread(thread) else { return };
        let (policy, sandbox) = (thread.policy, thread.sandbox);
        for (place, tool) in tools.iter().enumerate() {
            let plan = Plan {
                tool: *tool,
                policy,
                sandbox,
                turn: None,
                is_over: false,
                agreed: [0; 2],
                started: 0,
            };
            self.ledger.plans.insert(first + place, plan);
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

    // --- what the host says ---

    fn slot(&self, number: usize, slot: usize) -> Option<&Thread> {
        let own: Vec<_> =
            self.ledger.threads.iter().filter(|thread| thread.desk == number).collect();
        own.get(own.len().checked_sub(1 + slot.min(own.len().saturating_sub(1)))?).copied()
    }

    fn say(&mut self, number: usize, what: Say, cut: Cut) {
        let rights = |policy: Policy, sandbox: Sandbox| {
            format!(r#""approvalPolicy":"{}","sandbox":"{}""#, policy.name(), sandbox.name())
        };
        let of = |slot| self.slot(number, slot).cloned();
        let (method, params, asked) = match what {
            Say::StartThread(policy, sandbox) => {
                let params = format!("{{{}}}", rights(policy, sandbox));
                ("thread/start", params, Asked::Start(policy, sandbox))
            }
            Say::ResumeThread(slot) => {
                let Some(thread) = of(slot) else { return };
                let rights = rights(thread.policy, thread.sandbox);
                let params = format!(r#"{{"threadId":"{}",{rights}}}"#, thread.id);
                ("thread/resume", params, Asked::Resume(thread.id))
            }
            Say::ForkThread(slot) => {
                let all = &self.ledger.threads;
                let Some(thread) = all.get(slot % all.len().max(1)).cloned() else { return };
                let rights = rights(thread.policy, thread.sandbox);
                let params = format!(r#"{{"threadId":"{}",{rights}}}"#, thread.id);
                let stored = thread.announced.iter().filter(|turn| !turn.is_unstored);
                let turns = match thread.is_unsettled() {
                    true => Vec::new(),
                    false => stored.map(|turn| turn.id.clone()).collect(),
                };
                let asked = Asked::Fork(thread.id, thread.policy, thread.sandbox, turns);
                ("thread/fork", params, asked)
            }
            Say::ArchiveThread(slot) => {
                let Some(thread) = of(slot) else { return };
                let params = format!(r#"{{"threadId":"{}"}}"#, thread.id);
                ("thread/archive", params, Asked::Archive(thread.id))
            }
            Say::UnarchiveThread(slot) => {
                let Some(thread) = of(slot) else { return };
                let params = format!(r#"{{"threadId":"{}"}}"#, thread.id);
                ("thread/unarchive", params, Asked::Unarchive(thread.id))
            }
            Say::RollBack(slot, turns) => {
                let Some(thread) = of(slot) else { return };
                let params = format!(r#"{{"threadId":"{}","numTurns":{turns}}}"#, thread.id);
                ("thread/rollback", params, Asked::RollBack(thread.id, turns as usize, Vec::new()))
            }
            Say::ReadThread(slot) => {
                let Some(thread) = of(slot) else { return };
                return self.read(number, &thread, cut);
            }
            Say::StartTurn(slot) => {
                let Some(thread) = of(slot) else { return };
                let input = r#"[{"type":"text","text":"go"}]"#;
                let params = format!(r#"{{"threadId":"{}","input":{input}}}"#, thread.id);
                ("turn/start", params, Asked::Other)
            }
            Say::Interrupt(slot) => {
                let Some(thread) = of(slot) else { return };
                let turn = self.desks[number].running.get(&thread.id);
                let turn = turn.map_or("", String::as_str);
                let params = format!(r#"{{"threadId":"{}","turnId":"{turn}"}}"#, thread.id);
                ("turn/interrupt", params, Asked::Other)
            }
            Say::Review(slot) => {
                let Some(thread) = of(slot) else { return };
                let target = r#"{"type":"uncommittedChanges"}"#;
                let params = format!(r#"{{"threadId":"{}","target":{target}}}"#, thread.id);
                ("review/start", params, Asked::Other)
            }
            Say::Exec => {
                ("command/exec", r#"{"command":["client","x1"]}"#.to_owned(), Asked::Other)
            }
            Say::Login => {
                self.tokens += 1;
                let tokens = Tokens::make(self.tokens, Wanted::GOOD).members();
                let params = format!(r#"{{"type":"chatgptAuthTokens",{tokens}}}"#);
                ("account/login/start", params, Asked::Other)
            }
            Say::Any(which) => {
                let (method, params) = ANY[which % ANY.len()];
                let thread = of(which / ANY.len()).map(|thread| thread.id).unwrap_or_default();
                (method, params.replace('@', &thread), Asked::Other)
            }
        };
        self.request(number, method, &params, asked, cut);
    }

    /// Asks for a thread with its turns.
    fn read(&mut self, number: usize, thread: &Thread, cut: Cut) {
        let params = format!(r#"{{"threadId":"{}","includeTurns":true}}"#, thread.id);
        let stored = thread.announced.iter().filter(|turn| !turn.is_unstored);
        let turns = match thread.is_unsettled() {
            true => Vec::new(),
            false => stored.cloned().collect(),
        };
        self.request(number, "thread/read", &params, Asked::Read(turns), cut);
    }

    fn request(
        &mut self,
        number: usize,
        method: &'static str,
        params: &str,
        asked: Asked,
        cut: Cut,
    ) {
        if let Asked::Archive(id) | Asked::Unarchive(id) | Asked::RollBack(id, ..) = &asked
            && let Some(thread) = self.ledger.thread(id)
        {
            thread.moves += 1;
        }
        let desk = &mut self.desks[number];
        desk.requests += 1;
        let id = desk.requests.to_string();
        let line = format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#);
        desk.said.push(SaidLine { request: Some((id, method)), asked });
        desk.world.say(desk.said.len() - 1, &line, false, cut);
    }

    fn answer(&mut self, number: usize, nth: usize, answering: Answering) {
        let asks = &self.desks[number].asks;
        let open = asks.iter().filter(|ask| ask.is_open || nth > 0);
        let Some(ask) = newest(open, nth).cloned() else { return };
        let agrees = matches!(
            answering,
            Answering::Accept | Answering::AcceptForSession | Answering::AcceptWithRule
        );
        let result = match (ask.about, answering) {
            (_, Answering::Error) => r#""error":{"code":-1,"message":"no"}"#.to_owned(),
            (_, Answering::Nonsense) => r#""result":[5]"#.to_owned(),
            (About::Tokens, _) if agrees => {
                self.tokens += 1;
                let tokens = Tokens::make(self.tokens, Wanted::GOOD).members();
                format!(r#""result":{{{tokens}}}"#)
            }
            (About::Tokens, _) => r#""error":{"code":-32001,"message":"not today"}"#.to_owned(),
            (About::User | About::Other, _) => r#""result":{"answers":{}}"#.to_owned(),
            (About::Plan(plan, _), Answering::AcceptWithRule) if self.is_command(plan) => {
                let rule = format!(r#"["make","{}"]"#, reply::mark(plan));
                format!(
                    r#""result":{{"decision":{{"acceptWithExecpolicyAmendment":{{"execpolicy_amendment":{rule}}}}}}}"#
                )
            }
            (About::Plan(..), answering) => {
                let decision = match answering {
                    Answering::AcceptForSession => "acceptForSession",
                    Answering::Decline => "decline",
                    Answering::Cancel => "cancel",
                    _ => "accept",
                };
                format!(r#""result":{{"decision":"{decision}"}}"#)
            }
        };
        let line = format!(r#"{{"id":{},{result}}}"#, ask.id);
        let desk = &mut self.desks[number];
        desk.said.push(SaidLine { request: None, asked: Asked::Answer(ask.id, agrees) });
        desk.world.say(desk.said.len() - 1, &line, false, Cut::Whole);
    }

    fn is_command(&self, plan: usize) -> bool {
        let plan = self.ledger.plans.get(&plan);
        plan.is_some_and(|plan| matches!(plan.tool, Tool::Command { .. }))
    }

    // --- the end ---

    /// Heals everything; then nothing may be left, and every promise was kept.
    pub fn heal(&mut self) -> Result<(), Violation> {
        for number in 0..self.desks.len() {
            self.step(&Step(number, Deed::ResumeReading))?;
        }
        self.settle()?;
        for number in 0..self.desks.len() {
            self.check_rest(number)?;
        }
        for number in 0..self.desks.len() {
            self.step(&Step(number, Deed::Eof))?;
        }
        self.settle()?;
        if let Some(number) = self.desks.iter().position(|desk| desk.world.exit().is_none()) {
            return fail(format!("machine {number} does not end after its input"));
        }
        self.check_promises()
    }

    /// Lets everything happen that can.
    fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..2000 {
            let next = (0..self.desks.len())
                .find_map(|number| Some(Step(number, self.healing(number)?)))
                .or_else(|| self.soonest().map(|number| Step(number, Deed::Wait(Wait::ToNext))));
            let Some(step) = next else { return Ok(()) };
            if self.is_loud {
                println!("(healing) {step:?}");
            }
            self.step(&step)?;
        }
        fail("the session does not come to rest".to_owned())
    }

    /// The machine whose timer is due first.
    fn soonest(&self) -> Option<usize> {
        let due = |desk: &Desk| desk.world.next_due().filter(|_| desk.world.exit().is_none());
        let all = self.desks.iter().enumerate().filter_map(|(at, desk)| Some((due(desk)?, at)));
        all.min().map(|(_, at)| at)
    }

    fn healing(&self, number: usize) -> Option<Deed> {
        let desk = &self.desks[number];
        if desk.world.exit().is_some() {
            return None;
        }
        if desk.world.jobs().len() > 0 {
            return Some(Deed::Job(Harm::None));
        }
        let free = |(at, other): (usize, &Desk)| {
            at == number
                || other.world.exit().is_some()
                || !other.world.holds().iter().any(|hold| hold.is_answered)
        };
        let waits = desk.world.holds().iter().any(|hold| !hold.is_answered);
        if waits && self.desks.iter().enumerate().all(free) {
            return Some(Deed::Hold(true));
        }
        if desk.has_open_ask() && desk.ending_since.is_none() {
            return Some(Deed::Answer(0, Answering::Accept));
        }
        let http = desk.world.http();
        if http.iter().any(|http| http.answer.is_none()) {
            return Some(Deed::Respond(0, Reply::Plain(Response::Say), 1 << 20));
        }
        if !http.is_empty() {
            return Some(Deed::Finish(0, 1 << 20));
        }
        (!desk.world.programs().is_empty()).then_some(Deed::Program(0, Act::Ends(0)))
    }

    fn check_rest(&self, number: usize) -> Result<(), Violation> {
        let desk = &self.desks[number];
        if desk.world.exit().is_some() {
            return Ok(());
        }
        if let Some(id) = desk.grammar.unanswered().first() {
            return fail(format!("machine {number}: request {id} has no reply"));
        }
        if let Some((thread, turn)) = desk.grammar.running().next() {
            return fail(format!("machine {number}: turn {turn} of {thread} is not completed"));
        }
        let open = desk.world.machine().open_work();
        if open != understudy_core::OpenWork::default() {
            return fail(format!("machine {number}: something is left: {open:?}"));
        }
        Ok(())
    }

    /// A new machine finds every turn that was announced as completed.
    fn check_promises(&mut self) -> Result<(), Violation> {
        self.replace(0);
        self.settle()?;
        for at in 0..self.ledger.threads.len() {
            let thread = self.ledger.threads[at].clone();
            if thread.announced.is_empty() || thread.is_unsettled() {
                continue;
            }
            self.marks.insert("a stored thread was read by another machine");
            self.read(0, &thread, Cut::Whole);
            self.settle()?;
        }
        self.check_rest(0)
    }
}

fn fail(text: String) -> Result<(), Violation> {
    Err(Violation { rule: LIVENESS, text })
}

fn newest<T>(all: impl DoubleEndedIterator<Item = T> + Clone, nth: usize) -> Option<T> {
    let count = all.clone().count();
    if count == 0 { None } else { all.rev().nth(nth.min(count - 1)) }
}
