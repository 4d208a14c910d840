//! One step of a session, as data, and how often which is drawn.

use std::time::Duration;

use understudy_core::HttpFailureKind;

use super::ledger::Thread;
use super::reply::{Reply, Shell, Tool};
use super::scene::{Desk, Scene};
use super::setting::{Setting, SignedIn};
use super::table::{Finding, Policy, Reach, Sandbox};
use crate::choose::Choose;
use crate::world::Cut;
use crate::world::backend::Response;
use crate::world::disk::Harm;

/// One step, at the desk of one of the machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step(pub usize, pub Deed);

/// What happens there. `nth` counts what is there, newest first; beyond the last it is the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The host says something.
    Say(Say, Cut),
    /// The host answers the `nth` question, open or not.
    Answer(usize, Answering),
    /// A whole response arrives for the `nth` request, in pieces of so many bytes.
    Respond(usize, Reply, usize),
    /// The head of a response arrives.
    Head(usize, Reply),
    /// So many bytes of a response's body arrive.
    Body(usize, usize),
    /// The rest of a response arrives.
    Finish(usize, usize),
    /// A request fails.
    Fail(usize, HttpFailureKind),
    /// The next file job is run, while the disk is so.
    Job(Harm),
    /// The `nth` program does something.
    Program(usize, Act),
    /// The lock between processes is had if it is free, or cannot be had.
    Hold(bool),
    /// Time passes, for everybody.
    Wait(Wait),
    /// The host stops reading.
    StopReading,
    /// The host reads again.
    ResumeReading,
    /// The host's input ends.
    Eof,
    /// The machine is gone at once, while the job that runs stops there; another one begins.
    Crash(Harm),
    /// Another machine begins where one has ended.
    Begin,
}

/// What the host says. A slot is the place of a thread among all that there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the request of its name")]
pub enum Say {
    StartThread(Policy, Sandbox),
    ResumeThread(usize),
    /// A thread that is another desk's.
    JoinThread(usize),
    ForkThread(usize),
    ArchiveThread(usize),
    UnarchiveThread(usize),
    RollBack(usize, u32),
    ReadThread(usize),
    StartTurn(usize),
    /// By the older methods.
    Converse(Policy, Sandbox),
    ResumeConversation(usize),
    Listen(usize),
    StopListening,
    SendMessage(usize),
    SendTurn(usize, Policy, Sandbox),
    Interrupt(usize),
    Review(usize),
    Exec,
    Login,
    /// The `n`th of the requests that have no part of their own here.
    Any(usize),
}

/// What the host answers to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the decision of its name")]
pub enum Answering {
    Accept,
    AcceptForSession,
    AcceptWithRule,
    Decline,
    Cancel,
    /// A result that is none.
    Nonsense,
    /// A yes in the dialect that the question is not put in.
    OtherDialect,
    /// An error.
    Error,
}

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It says something.
    Says,
    /// It says a lot, on the other stream.
    Floods,
    /// It complains about the sandbox and ends.
    IsDenied,
    /// It ends with this code.
    Ends(i32),
    /// It never began.
    NotThere,
    /// It never began, for want of a sandbox.
    NoSandbox,
    /// The runtime loses it.
    Lost,
}

/// How long time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So long.
    For(Duration),
    /// Until the next timer is due, which fires.
    ToNext,
    /// The same, and it fires late.
    Late,
}

impl Step {
    /// The kind of fault that it is, if it is one.
    pub fn fault(&self) -> Option<&'static str> {
        Some(match &self.1 {
            Deed::Say(_, Cut::Whole) => return None,
            Deed::Say(..) => "host: lines in pieces",
            Deed::Answer(_, Answering::Nonsense | Answering::OtherDialect | Answering::Error) => {
                "host: no answer to be used"
            }
            Deed::Respond(_, Reply::Plain(response), _) | Deed::Head(_, Reply::Plain(response)) => {
                response.fault()?
            }
            Deed::Fail(..) => "backend: no response, or it breaks off",
            Deed::Job(Harm::Full) => "files: the disk is full",
            Deed::Job(Harm::Torn(_)) => "files: a write is torn",
            Deed::Job(Harm::Lost) => "runtime: a file job is lost",
            Deed::Program(_, Act::Floods) => "program: a flood",
            Deed::Program(_, Act::NotThere | Act::NoSandbox) => "program: does not start",
            Deed::Program(_, Act::IsDenied) => "program: stopped by the sandbox",
            Deed::Program(_, Act::Lost) => "runtime: a program is lost",
            Deed::Hold(false) => "lock: cannot be had",
            Deed::Wait(Wait::Late) => "runtime: timers late",
            Deed::StopReading => "host: stops reading",
            Deed::Eof => "host: goes away",
            Deed::Crash(Harm::Torn(_)) => "crash in the middle of a write",
            Deed::Crash(_) => "crash",
            _ => return None,
        })
    }
}

/// What may happen in a session, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Swarm {
    threads: u32,
    turns: u32,
    interrupts: u32,
    /// Chances in 8 that threads and turns are begun by the older methods.
    legacy: u32,
    others: u32,
    answers: u32,
    /// Chances in 8 that the user says yes.
    yes: u32,
    late_answers: u32,
    backend: u32,
    /// Chances in 8 that a reply calls tools.
    tools: u32,
    /// Chances in 8 that a reply is a failure.
    failures: u32,
    jobs: u32,
    /// Chances in 8 that the disk is no good.
    harms: u32,
    programs: u32,
    waits: u32,
    reading: u32,
    crashes: u32,
    endings: u32,
    cuts: u32,
    /// Chances in 8 that what is asked of threads is for another desk's.
    joins: u32,
    /// Models that do not stop, and hosts that do not read.
    babbles: bool,
    policy: Option<Policy>,
    /// Findings that are drawn, or all.
    finding: Option<Finding>,
}

impl Swarm {
    /// Draws what this session is about.
    pub fn choose(c: &mut impl Choose) -> Option<Self> {
        let babbles = c.one_in(60)?;
        let policies = [Policy::Untrusted, Policy::OnRequest, Policy::OnFailure, Policy::Never];
        Some(Self {
            threads: c.pick(&[1, 1, 2, 6])?,
            turns: c.pick(&[4, 6, 8])?,
            interrupts: c.pick(&[0, 1, 1, 3])?,
            legacy: c.pick(&[0, 0, 2, 6])?,
            others: c.pick(&[0, 1, 1, 4])?,
            answers: c.pick(&[1, 4, 8])?,
            yes: c.pick(&[2, 5, 7])?,
            late_answers: c.pick(&[0, 0, 1, 3])?,
            backend: c.pick(&[6, 10, 14])?,
            tools: c.pick(&[1, 4, 6])?,
            failures: c.pick(&[0, 1, 1, 4])?,
            jobs: c.pick(&[6, 12, 20])?,
            harms: c.pick(&[0, 0, 0, 1, 3])?,
            programs: c.pick(&[2, 6, 10])?,
            waits: c.pick(&[0, 1, 2, 4])?,
            reading: if babbles { 4 } else { c.pick(&[0, 0, 0, 1])? },
            babbles,
            crashes: c.pick(&[0, 0, 0, 1])?,
            endings: c.pick(&[0, 0, 0, 0, 1])?,
            cuts: c.pick(&[0, 0, 1, 3])?,
            joins: c.pick(&[0, 1, 4])?,
            policy: if c.one_in(2)? { Some(c.pick(&policies)?) } else { None },
            finding: if c.one_in(3)? { Some(finding(c)?) } else { None },
        })
    }
}

/// What a session begins with: a host that signs in, and a thread.
pub fn prologue(c: &mut impl Choose, setting: &Setting) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for desk in 0..setting.machines {
        steps.push(Step(desk, Deed::Job(Harm::None)));
        if setting.signed_in == SignedIn::External {
            steps.push(Step(desk, Deed::Say(Say::Login, Cut::Whole)));
        }
        for _ in 0..1 + c.below(2)? {
            let (policy, sandbox) = (policy(c, None)?, sandbox(c)?);
            let is_legacy = c.one_in(4)?;
            let start = match is_legacy {
                true => Say::Converse(policy, sandbox),
                false => Say::StartThread(policy, sandbox),
            };
            steps.push(Step(desk, Deed::Say(start, Cut::Whole)));
            steps.push(Step(desk, Deed::Job(Harm::None)));
            if is_legacy {
                steps.push(Step(desk, Deed::Say(Say::Listen(0), Cut::Whole)));
            }
        }
    }
    Some(steps)
}

/// The next step; `None` when choices have run dry.
pub fn next_step(c: &mut impl Choose, swarm: &Swarm, scene: &Scene) -> Option<Step> {
    let number = c.below(u32::try_from(scene.desks.len()).ok()?)? as usize;
    let desk = &scene.desks[number];
    if desk.world.exit().is_some() {
        return Some(Step(number, Deed::Begin));
    }
    let has = |is: bool, weight: u32| if is { weight } else { 0 };
    let world = &desk.world;
    let has_threads = !scene.ledger.threads.is_empty();
    let weights = [
        swarm.threads,
        has(has_threads, swarm.turns),
        has(has_threads, swarm.interrupts),
        swarm.others,
        has(desk.has_open_ask(), swarm.answers) + has(!desk.asks.is_empty(), swarm.late_answers),
        has(!world.http().is_empty(), swarm.backend),
        has(world.jobs().len() > 0, swarm.jobs),
        has(!world.programs().is_empty(), swarm.programs),
        has(world.holds().iter().any(|hold| !hold.is_answered), 8),
        swarm.waits,
        swarm.reading,
        swarm.crashes,
        swarm.endings,
    ];
    let deed = match c.weighted(&weights)? {
        0 => say(thread_request(c, swarm, scene, number)?, c, swarm)?,
        1 => say(turn_request(c, swarm)?, c, swarm)?,
        2 => say(Say::Interrupt(c.below(4)? as usize), c, swarm)?,
        3 => say(other_request(c)?, c, swarm)?,
        4 => {
            let nth = if desk.has_open_ask() && !c.one_in(5)? { 0 } else { c.below(4)? as usize };
            Deed::Answer(nth, answering(c, swarm)?)
        }
        5 => backend(c, swarm, desk)?,
        6 => Deed::Job(harm(c, swarm)?),
        7 => Deed::Program(c.below(3)? as usize, act(c)?),
        8 => Deed::Hold(!c.one_in(6)?),
        9 => Deed::Wait(wait(c)?),
        10 if c.one_in(2)? => Deed::StopReading,
        10 => Deed::ResumeReading,
        11 if c.one_in(2)? => Deed::Crash(Harm::Torn(c.below(4000)? as usize)),
        11 => Deed::Crash(Harm::None),
        _ if c.one_in(4)? => Deed::Eof,
        _ => Deed::ResumeReading,
    };
    Some(Step(number, deed))
}

fn say(what: Say, c: &mut impl Choose, swarm: &Swarm) -> Option<Deed> {
    if c.below(8)? >= swarm.cuts {
        return Some(Deed::Say(what, Cut::Whole));
    }
    let cut = match c.below(3)? {
        0 => Cut::At(1 + c.below(200)? as usize),
        1 => Cut::Bytes,
        _ => Cut::Tail(1 + c.below(40)? as usize),
    };
    Some(Deed::Say(what, cut))
}

fn policy(c: &mut impl Choose, always: Option<Policy>) -> Option<Policy> {
    let any = c.pick(&[Policy::Untrusted, Policy::OnRequest, Policy::OnFailure, Policy::Never])?;
    Some(always.unwrap_or(any))
}

fn sandbox(c: &mut impl Choose) -> Option<Sandbox> {
    c.pick(&[Sandbox::ReadOnly, Sandbox::Workspace, Sandbox::Workspace, Sandbox::Full])
}

fn finding(c: &mut impl Choose) -> Option<Finding> {
    c.pick(&[
        Finding::Allowed,
        Finding::Safe,
        Finding::Unknown,
        Finding::Unknown,
        Finding::Dangerous,
        Finding::Prompted,
        Finding::Forbidden,
    ])
}

fn thread_request(c: &mut impl Choose, swarm: &Swarm, scene: &Scene, number: usize) -> Option<Say> {
    let slot = c.below(4)? as usize;
    let is_others = |thread: &Thread| !thread.is_at(number);
    if scene.ledger.threads.iter().any(is_others) && c.below(8)? < swarm.joins {
        return Some(Say::JoinThread(slot));
    }
    if c.below(8)? < swarm.legacy {
        return Some(match c.below(8)? {
            0 | 1 => Say::Converse(policy(c, swarm.policy)?, sandbox(c)?),
            2 => Say::ResumeConversation(slot),
            3 => Say::StopListening,
            _ => Say::Listen(slot),
        });
    }
    Some(match c.below(10)? {
        0..3 => Say::StartThread(policy(c, swarm.policy)?, sandbox(c)?),
        3 | 4 => Say::ResumeThread(slot),
        5 => Say::ForkThread(slot),
        6 => Say::ArchiveThread(slot),
        7 => Say::UnarchiveThread(slot),
        8 => Say::RollBack(slot, 1 + c.below(2)?),
        _ => Say::ReadThread(slot),
    })
}

fn turn_request(c: &mut impl Choose, swarm: &Swarm) -> Option<Say> {
    let slot = c.below(4)? as usize;
    if c.below(8)? >= swarm.legacy {
        return Some(Say::StartTurn(slot));
    }
    Some(match c.below(3)? {
        0 => Say::SendTurn(slot, policy(c, swarm.policy)?, sandbox(c)?),
        _ => Say::SendMessage(slot),
    })
}

fn other_request(c: &mut impl Choose) -> Option<Say> {
    Some(match c.below(8)? {
        0 => Say::Exec,
        1 => Say::Review(c.below(4)? as usize),
        _ => Say::Any(c.below(u32::try_from(super::said::ANY.len()).ok()?)? as usize),
    })
}

fn answering(c: &mut impl Choose, swarm: &Swarm) -> Option<Answering> {
    if c.below(8)? < swarm.yes {
        return c.pick(&[
            Answering::Accept,
            Answering::Accept,
            Answering::Accept,
            Answering::AcceptForSession,
            Answering::AcceptWithRule,
        ]);
    }
    c.pick(&[
        Answering::Decline,
        Answering::Decline,
        Answering::Cancel,
        Answering::Nonsense,
        Answering::OtherDialect,
        Answering::Error,
    ])
}

fn backend(c: &mut impl Choose, swarm: &Swarm, desk: &Desk) -> Option<Deed> {
    let nth = c.below(3)? as usize;
    let piece = c.pick(&[1 << 20, 1 << 20, 100, 7])?;
    // Where nobody listens, what comes after the bound is dropped, and a turn's end with it.
    if swarm.babbles && !desk.may_be_unheard && c.one_in(4)? {
        return Some(Deed::Respond(nth, Reply::Plain(Response::Babble), 1000));
    }
    let begun = desk.world.http().iter().any(|http| http.answer.is_some());
    Some(match c.weighted(&[14, 2, if begun { 3 } else { 0 }, if begun { 4 } else { 0 }, 1])? {
        0 => Deed::Respond(nth, reply(c, swarm)?, piece),
        1 => Deed::Head(nth, reply(c, swarm)?),
        2 => Deed::Body(nth, 1 + c.below(400)? as usize),
        3 => Deed::Finish(nth, piece),
        _ if c.below(8)? >= swarm.failures => Deed::Finish(nth, piece),
        _ => Deed::Fail(
            nth,
            c.pick(&[
                HttpFailureKind::Connect,
                HttpFailureKind::Timeout,
                HttpFailureKind::Body,
                HttpFailureKind::Request,
            ])?,
        ),
    })
}

fn reply(c: &mut impl Choose, swarm: &Swarm) -> Option<Reply> {
    if c.below(8)? < swarm.failures {
        return Some(Reply::Plain(c.pick(&[
            Response::Failed,
            Response::OutOfContext,
            Response::Incomplete,
            Response::Short,
            Response::Noise,
            Response::Status(401),
            Response::Status(401),
            Response::Status(401),
            Response::Status(400),
            Response::Status(403),
            Response::Status(408),
            Response::Status(500),
            Response::Status(502),
            Response::Status(429),
            Response::UsedUp,
            Response::Busy,
            Response::Later,
            Response::Capped,
            Response::BadImage,
            Response::Quota,
            Response::BadPrompt,
            Response::Limited,
        ])?));
    }
    if c.below(8)? < swarm.tools {
        let mut tools = Vec::new();
        for _ in 0..c.pick(&[1, 1, 1, 2, 3])? {
            tools.push(tool(c, swarm)?);
        }
        return Some(Reply::Calls(tools));
    }
    Some(Reply::Plain(c.pick(&[Response::Say, Response::Say, Response::Think, Response::Call])?))
}

fn tool(c: &mut impl Choose, swarm: &Swarm) -> Option<Tool> {
    Some(match c.below(16)? {
        0..9 => {
            let any = finding(c)?;
            let by = match c.below(4)? {
                0 => Shell::Words,
                1 => Shell::Line(Some(500)),
                2 => Shell::Line(None),
                _ => Shell::Exec(c.one_in(2)?),
            };
            let finding = swarm.finding.unwrap_or(any);
            Tool::Command { by, finding, escalated: c.one_in(4)? }
        }
        9..12 => {
            Tool::Patch(c.pick(&[Reach::Inside, Reach::Inside, Reach::Outside, Reach::Nothing])?)
        }
        12 => Tool::Type,
        13 => Tool::AskUser,
        14 => Tool::Plan,
        _ => c.pick(&[Tool::Image, Tool::Unknown])?,
    })
}

fn harm(c: &mut impl Choose, swarm: &Swarm) -> Option<Harm> {
    if c.below(8)? >= swarm.harms {
        return Some(Harm::None);
    }
    Some(match c.below(5)? {
        0 | 1 => Harm::Full,
        2 | 3 => Harm::Torn(c.below(4000)? as usize),
        _ => Harm::Lost,
    })
}

fn act(c: &mut impl Choose) -> Option<Act> {
    Some(match c.below(16)? {
        0..5 => Act::Says,
        5 => Act::Floods,
        6 | 7 => Act::IsDenied,
        8 => Act::NotThere,
        9 => Act::NoSandbox,
        10 if c.one_in(2)? => Act::Lost,
        _ => Act::Ends(c.pick(&[0, 0, 0, 1])?),
    })
}

fn wait(c: &mut impl Choose) -> Option<Wait> {
    Some(match c.below(6)? {
        0..3 => Wait::ToNext,
        3 => Wait::Late,
        _ => Wait::For(Duration::from_millis(c.pick(&[10, 300, 2_000, 11_000, 40_000])?)),
    })
}
