//! What comes next in a session, drawn: how it begins, what it is about, and each of its steps.

use std::time::Duration;

use understudy_core::HttpFailureKind;
use understudy_core::files::FileOp;

use super::grant::Grant;
use super::model::login::{Attempt, Proof, Visit};
use super::said::{JUNK, MALFORMED};
use super::scene::Scene;
use super::setting::{Setting, Stored};
use super::step::{Answering, Change, Named, Say, Step, Wait, Which};
use super::tokens::{Account, Kind, Oddity, Shape, Wanted};
use crate::choose::Choose;
use crate::world::backend::{HttpCall, Response};
use crate::world::fact::Port;
use crate::world::{Cut, Fault};

/// What may happen in a session, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Swarm {
    logins: u32,
    logouts: u32,
    reads: u32,
    turns: u32,
    interrupts: u32,
    answers: u32,
    backend: u32,
    refusals: u32,
    jobs: u32,
    waits: u32,
    stale: u32,
    reading: u32,
    endings: u32,
    /// Logins in a browser, and with a device code.
    browsers: u32,
    /// The token authority's answers, and the locks.
    grants: u32,
    /// Other processes.
    others: u32,
    /// Chances in 8 that answers and tokens are good.
    goodness: u32,
    /// Chances in 8 that file jobs fail.
    faults: u32,
    /// Chances in 8 that bytes are cut or held back.
    cuts: u32,
    floods: bool,
}

impl Swarm {
    /// Draws what this session is about: some things happen often, some not at all.
    pub fn choose(c: &mut impl Choose, setting: &Setting) -> Option<Self> {
        let any = Self::choose_any(c)?;
        let is_own = setting.first_login(Fault::None).0.kind == Kind::Managed;
        Some(match c.below(8)? {
            0 | 1 => any,
            // A login in a browser, from its port to its record.
            7 => Self {
                logins: any.logins.min(1),
                logouts: any.logouts.min(1),
                jobs: 6,
                turns: 1,
                waits: 1,
                browsers: 2,
                grants: 10,
                goodness: any.goodness.max(4),
                ..any
            },
            // Tokens of the server's own that the backend refuses.
            2..=6 if is_own => Self {
                logins: any.logins / 4,
                logouts: any.logouts / 2,
                browsers: any.browsers.min(1),
                others: any.others,
                jobs: 6,
                grants: 10,
                ..any.about_refusals()
            },
            // The same with the host's tokens.
            _ => Self { browsers: 0, ..any.about_refusals() },
        })
    }

    fn about_refusals(self) -> Self {
        Self {
            logins: 2,
            logouts: self.logouts.min(1),
            reads: 2,
            turns: 3,
            interrupts: self.interrupts.max(1),
            answers: 3,
            backend: 12,
            refusals: 24,
            stale: self.stale.max(1),
            waits: 1,
            ..self
        }
    }

    fn choose_any(c: &mut impl Choose) -> Option<Self> {
        Some(Self {
            logins: c.pick(&[1, 2, 2, 6])?,
            logouts: c.pick(&[0, 1, 1, 2])?,
            reads: c.pick(&[1, 2, 4])?,
            turns: c.pick(&[2, 3, 4])?,
            interrupts: c.pick(&[0, 1, 1, 3])?,
            answers: c.pick(&[1, 3, 6])?,
            backend: c.pick(&[4, 8, 8])?,
            refusals: c.pick(&[4, 12, 24])?,
            jobs: c.pick(&[1, 4, 6])?,
            waits: c.pick(&[1, 2, 4])?,
            stale: c.pick(&[0, 0, 1, 2])?,
            reading: c.pick(&[0, 0, 1, 2])?,
            endings: c.pick(&[0, 0, 0, 0, 1])?,
            browsers: c.pick(&[0, 0, 1, 6])?,
            grants: c.pick(&[3, 6, 10])?,
            others: c.pick(&[0, 0, 1, 2])?,
            goodness: c.pick(&[1, 4, 7])?,
            faults: c.pick(&[0, 0, 2, 5])?,
            cuts: c.pick(&[0, 1, 4])?,
            floods: c.one_in(500)?,
        })
    }
}

/// The next step of a session; `None` when choices have run dry.
pub fn next_step(c: &mut impl Choose, swarm: &Swarm, scene: &Scene) -> Option<Step> {
    let has = |is: bool, weight: u32| if is { weight } else { 0 };
    let jobs = scene.world.jobs().len();
    let calls = scene.world.http().len();
    let has_open_ask = scene.model.refresh.as_ref().is_some_and(|r| r.since.is_some());
    let has_threads = !scene.model.threads.is_empty();
    // While tokens are wanted, time passes in short steps, so that there is time for more to happen.
    let waits = if has_open_ask { swarm.waits.min(1) } else { swarm.waits };
    let weights = [
        swarm.logins,
        swarm.logouts,
        swarm.reads,
        has(has_threads, 2 * swarm.turns),
        // More often in one chunk with what is still held back.
        has(has_threads, swarm.interrupts + has(scene.world.has_held_bytes(), 8)),
        has(has_open_ask, 2 * swarm.answers) + has(!scene.model.asks.is_empty(), swarm.stale),
        has(calls > 0, swarm.backend),
        has(jobs > 0, 3 * swarm.jobs),
        waits,
        swarm.stale,
        swarm.reading,
        swarm.endings,
        has(scene.model.threads.len() < 3, 1),
        1,
        swarm.browsers,
        has(scene.world.listener().is_some(), 6 + 2 * swarm.browsers),
        has(scene.world.holds().iter().any(|hold| !hold.is_answered), 2 * swarm.grants),
        has(scene.world.http().iter().any(is_open_request), 2 * swarm.grants),
        swarm.others,
        has(scene.model.attempt.as_ref().is_some_and(Attempt::is_pausing), 2 + 4 * swarm.browsers),
    ];
    Some(match c.weighted(&weights)? {
        0 => say(login(c, swarm)?, c, swarm)?,
        1 => say(Say::Logout { legacy: c.one_in(3)? }, c, swarm)?,
        2 => say(read(c)?, c, swarm)?,
        3 => {
            let is_empty = c.one_in(12)?;
            say(Say::StartTurn { slot: c.below(3)? as usize, is_empty }, c, swarm)?
        }
        4 => {
            let named =
                c.pick(&[Named::Right, Named::Right, Named::Right, Named::Wrong, Named::Blank]);
            say(Say::Interrupt { slot: c.below(3)? as usize, named: named? }, c, swarm)?
        }
        5 => {
            let nth = if has_open_ask && !c.one_in(6)? { 0 } else { c.below(3)? as usize };
            Step::Answer(nth, answering(c, swarm)?)
        }
        6 => backend(c, swarm)?,
        7 => {
            let nth = c.below(2)? as usize;
            Step::Job(nth, fault(c, swarm)?)
        }
        8 => Step::Wait(wait(c)?),
        9 if c.one_in(2)? => Step::StaleTimer(c.below(4)? as usize),
        9 => Step::StaleCall(c.below(4)? as usize, Response::Status(401)),
        10 => reading(c)?,
        11 => ending(c)?,
        12 => say(Say::StartThread, c, swarm)?,
        14 => say(browser_request(c)?, c, swarm)?,
        15 => browser(c, scene)?,
        16 => Step::Hold(!c.one_in(6)?),
        17 => Step::Grant(c.below(2)? as usize, grant(c, swarm)?),
        18 => Step::Elsewhere(c.pick(&[
            Change::Refreshed,
            Change::Refreshed,
            Change::OtherAccount,
            Change::Key,
            Change::Removed,
            Change::Garbage,
        ])?),
        19 => Step::Wait(Wait::ToNext),
        _ => {
            let junk =
                [Say::Initialize, Say::Junk(c.below(u32::try_from(JUNK.len()).ok()?)? as usize)];
            say(c.pick(&junk)?, c, swarm)?
        }
    })
}

/// A request to the token authority that has no answer.
fn is_open_request(http: &HttpCall) -> bool {
    http.answer.is_none() && http.sent.purpose.is_authority()
}

fn browser_request(c: &mut impl Choose) -> Option<Say> {
    let which = c.pick(&[Which::Open, Which::Open, Which::Ended, Which::Unknown])?;
    Some(match c.below(6)? {
        0 => Say::CancelLogin { legacy: c.one_in(3)?, which },
        1 | 2 => Say::LoginDevice,
        _ => Say::LoginChatGpt { legacy: c.one_in(3)? },
    })
}

fn browser(c: &mut impl Choose, scene: &Scene) -> Option<Step> {
    let is_open = scene.world.listener().is_some_and(|listener| listener.is_open);
    if !is_open || c.one_in(40)? {
        return Some(Step::Listen(match c.weighted(&[6, 6, 1, 1])? {
            0 => Port::Granted,
            1 if c.below(2)? == 0 => Port::Granted,
            1 => Port::InUse,
            2 => Port::Refused,
            _ => Port::Lost,
        }));
    }
    let proof = match c.below(8)? {
        0 => Proof::Wrong,
        1 => Proof::Missing,
        _ => Proof::Right,
    };
    let visit = match c.below(10)? {
        0 => Visit::Denied,
        1 => Visit::NoCode,
        2 => Visit::Cancel,
        3 => Visit::Success,
        4 => Visit::Elsewhere,
        _ => Visit::Code,
    };
    Some(Step::Visit(visit, proof))
}

fn grant(c: &mut impl Choose, swarm: &Swarm) -> Option<Grant> {
    if c.below(8)? < swarm.goodness {
        return c.pick(&[Grant::Good, Grant::Good, Grant::OtherPlan, Grant::NoIdToken]);
    }
    Some(match c.below(14)? {
        11 | 12 => Grant::Pending,
        13 => Grant::Unheard,
        0 => Grant::Elsewhere,
        1 => Grant::Unnamed,
        2 => Grant::Expired,
        3 => Grant::BadIdToken,
        4 => Grant::Nothing,
        5 => Grant::Malformed,
        6 => Grant::Invalid,
        7 | 8 => Grant::Broken,
        _ => Grant::Refused(c.below(4)? as usize),
    })
}

fn reading(c: &mut impl Choose) -> Option<Step> {
    Some(match c.below(3)? {
        0 => Step::StopReading,
        1 => Step::Read(1 + c.below(300)? as usize),
        _ => Step::ResumeReading,
    })
}

fn ending(c: &mut impl Choose) -> Option<Step> {
    Some(match c.below(24)? {
        0 => Step::Terminate,
        1 | 2 => Step::Eof,
        _ => Step::Flush,
    })
}

/// What a session begins with: start-up, `initialize`, a thread.
pub fn prologue(c: &mut impl Choose, setting: &Setting) -> Option<Vec<Step>> {
    let plain = |what| Step::Say(what, false, Cut::Whole);
    let mut steps = Vec::new();
    if c.one_in(8)? {
        // Before anything is allowed.
        steps.push(plain(c.pick(&[
            Say::Agent,
            Say::StartThread,
            Say::Status { include: true, refresh: true },
        ])?));
    }
    if c.one_in(12)? {
        // `initialize` comes before start-up is done.
        steps.push(plain(Say::Initialize));
        steps.push(Step::Job(0, Fault::None));
    } else {
        steps.push(Step::Job(0, Fault::None));
        steps.push(plain(Say::Initialize));
    }
    let signs_in = match setting.stored {
        Stored::Nothing => c.below(8)? > 0,
        _ if setting.first_login(Fault::None).0.kind == Kind::Managed => c.one_in(8)?,
        _ => c.one_in(3)?,
    };
    if signs_in {
        // The case that matters most: the host's tokens are in force.
        steps.push(plain(Say::LoginTokens(Wanted::GOOD)));
    }
    for _ in 0..c.pick(&[1, 2, 3])? {
        steps.push(plain(Say::StartThread));
        steps.push(Step::Job(0, Fault::None));
    }
    Some(steps)
}

fn say(what: Say, c: &mut impl Choose, swarm: &Swarm) -> Option<Step> {
    if c.below(8)? >= swarm.cuts {
        return Some(Step::Say(what, false, Cut::Whole));
    }
    let hold = c.one_in(2)?;
    let cut = match c.below(4)? {
        0 => Cut::Whole,
        1 => Cut::At(1 + c.below(200)? as usize),
        2 => Cut::Bytes,
        _ => Cut::Tail(1 + c.below(40)? as usize),
    };
    Some(Step::Say(what, hold, cut))
}

fn login(c: &mut impl Choose, swarm: &Swarm) -> Option<Say> {
    Some(match c.weighted(&[6, 4, 1, 1])? {
        0 if c.below(4)? > 0 => Say::LoginTokens(Wanted::GOOD),
        0 => Say::LoginTokens(wanted(c, swarm)?),
        1 => Say::LoginKey { legacy: c.one_in(3)?, is_empty: c.one_in(12)? },
        2 if c.one_in(3)? => Say::LoginDevice,
        2 => Say::LoginChatGpt { legacy: c.one_in(2)? },
        _ => Say::CancelLogin { legacy: c.one_in(2)?, which: Which::Unknown },
    })
}

fn wanted(c: &mut impl Choose, swarm: &Swarm) -> Option<Wanted> {
    let shape = c.pick(&[Shape::Old, Shape::Old, Shape::New, Shape::Both])?;
    if c.below(8)? < swarm.goodness {
        return Some(Wanted { shape, account: Account::Right, oddity: Oddity::None });
    }
    let account = c.pick(&[Account::Right, Account::Wrong, Account::Wrong, Account::Unnamed])?;
    let oddity = c.pick(&[
        Oddity::None,
        Oddity::None,
        Oddity::None,
        Oddity::NoJwt,
        Oddity::NoJwt,
        Oddity::BadClaim,
        Oddity::NoEmail,
        Oddity::NoPlan,
        Oddity::OtherPlan,
        Oddity::EmptyAccess,
    ])?;
    Some(Wanted { shape, account, oddity })
}

fn read(c: &mut impl Choose) -> Option<Say> {
    Some(match c.below(6)? {
        0 | 1 => Say::Status { include: !c.one_in(4)?, refresh: !c.one_in(3)? },
        5 => Say::RateLimits,
        2 => Say::ReadAccount { refresh: c.one_in(2)? },
        3 => Say::UserInfo,
        _ => Say::Agent,
    })
}

fn answering(c: &mut impl Choose, swarm: &Swarm) -> Option<Answering> {
    if c.below(8)? < swarm.goodness {
        return Some(Answering::Tokens(wanted(c, swarm)?));
    }
    Some(match c.below(7)? {
        0 | 6 => Answering::Tokens(Wanted {
            account: c.pick(&[Account::Wrong, Account::Unnamed])?,
            ..wanted(c, swarm)?
        }),
        1 => Answering::Both,
        2 => Answering::TextId,
        3 => Answering::Denied,
        4 => Answering::OddError,
        _ => Answering::Malformed(c.below(u32::try_from(MALFORMED.len()).ok()?)? as usize),
    })
}

fn response(c: &mut impl Choose, swarm: &Swarm) -> Option<Response> {
    if swarm.floods && c.one_in(4)? {
        return Some(Response::Flood);
    }
    Some(match c.weighted(&[swarm.refusals, 6, 3])? {
        0 => Response::Status(401),
        1 => c.pick(&[
            Response::Say,
            Response::Say,
            Response::Say,
            Response::Think,
            Response::Call,
            Response::Noise,
        ])?,
        _ => c.pick(&[
            Response::Failed,
            Response::OutOfContext,
            Response::Incomplete,
            Response::Short,
            Response::Status(500),
            Response::Status(503),
            Response::Status(400),
            Response::Status(403),
            Response::Status(429),
            Response::UsedUp,
            Response::Busy,
        ])?,
    })
}

fn backend(c: &mut impl Choose, swarm: &Swarm) -> Option<Step> {
    let nth = c.below(4)? as usize;
    // Where a response is cut is the stream's own affair, which other searches are about.
    let piece = match c.weighted(&[6, 2, 1, 1])? {
        0 => 1 << 20,
        1 => 100,
        2 => 7,
        _ => 1,
    };
    Some(match c.weighted(&[12, 3, 3, 3, 1, 1])? {
        0 => {
            let response = response(c, swarm)?;
            let is_flood = response == Response::Flood;
            Step::Respond(nth, response, if is_flood { 1 << 17 } else { piece })
        }
        1 => Step::Head(nth, response(c, swarm)?),
        2 => Step::Body(nth, 1 + c.below(400)? as usize),
        3 => Step::Finish(nth, piece),
        4 => Step::Fail(
            nth,
            c.pick(&[
                HttpFailureKind::Connect,
                HttpFailureKind::Timeout,
                HttpFailureKind::Body,
                HttpFailureKind::Request,
            ])?,
        ),
        _ => Step::Lose(nth),
    })
}

fn fault(c: &mut impl Choose, swarm: &Swarm) -> Option<Fault> {
    if c.below(8)? >= swarm.faults {
        return Some(Fault::None);
    }
    c.pick(&[
        Fault::Op(FileOp::Write),
        Fault::Op(FileOp::Remove),
        Fault::Op(FileOp::Lock),
        Fault::Op(FileOp::Read),
        Fault::Keyring,
        Fault::Lost,
    ])
}

fn wait(c: &mut impl Choose) -> Option<Wait> {
    Some(match c.below(8)? {
        0 | 1 => Wait::ToNext,
        2 => Wait::JustBefore,
        3 => Wait::JustAfter,
        4 => Wait::NotYet,
        5 => Wait::PastRefresh,
        _ => {
            let ms = c.pick(&[1, 50, 900, 4_000, 9_999, 10_000, 31_000])?;
            Wait::For(Duration::from_millis(ms))
        }
    })
}
