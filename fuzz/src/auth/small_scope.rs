//! Every script of a small alphabet up to some depth. States that look the same to the model and to
//! the world are gone on from only once.
//!
//! The machine cannot be copied, so that each script is played from its beginning; that is cheap,
//! and it makes each one a script like any other when it fails.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use understudy_core::files::FileOp;

use super::model::Phase;
use super::run::{Failure, Script, guarded};
use super::scene::{Scene, Violation};
use super::setting::{AUTH_FILE, Setting};
use super::step::{Answering, Named, Say, Step, Wait};
use super::tokens::{Account, Oddity, Shape, Wanted};
use crate::world::backend::Response;
use crate::world::{Cut, Fault};

/// A symbol with its name.
pub type Symbol = (&'static str, Step);

const fn plain(what: Say) -> Step {
    Step::Say(what, false, Cut::Whole)
}

const OLDEST: usize = usize::MAX;
const NEW_SHAPE: Wanted =
    Wanted { shape: Shape::New, account: Account::Right, oddity: Oddity::OtherPlan };
const BAD: Wanted = Wanted { shape: Shape::Old, account: Account::Right, oddity: Oddity::NoJwt };
const ELSEWHERE: Wanted =
    Wanted { shape: Shape::Old, account: Account::Wrong, oddity: Oddity::None };

/// What may happen.
pub const ALPHABET: &[Symbol] = &[
    ("login with a key", plain(Say::LoginKey { legacy: false, is_empty: false })),
    ("login with tokens", plain(Say::LoginTokens(Wanted::GOOD))),
    ("login with newer tokens", plain(Say::LoginTokens(NEW_SHAPE))),
    ("login with bad tokens", plain(Say::LoginTokens(BAD))),
    ("logout", plain(Say::Logout { legacy: false })),
    ("turn 1", plain(Say::StartTurn { slot: 0, is_empty: false })),
    ("turn 2", plain(Say::StartTurn { slot: 1, is_empty: false })),
    ("interrupt 1", plain(Say::Interrupt { slot: 0, named: Named::Right })),
    ("401", Step::Respond(OLDEST, Response::Status(401), 1 << 16)),
    ("200", Step::Respond(OLDEST, Response::Say, 1 << 16)),
    ("new tokens", Step::Answer(0, Answering::Tokens(Wanted::GOOD))),
    ("no tokens", Step::Answer(0, Answering::Denied)),
    ("tokens for elsewhere", Step::Answer(0, Answering::Tokens(ELSEWHERE))),
    ("ten seconds", Step::Wait(Wait::For(Duration::from_secs(10)))),
    ("store done", Step::Job(0, Fault::None)),
    ("store failed", Step::Job(0, Fault::Op(FileOp::Lock))),
];

/// What was explored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Scripts that were played.
    pub scripts: usize,
    /// States that look different.
    pub states: usize,
    /// States that were first met at the greatest depth.
    pub last: usize,
}

/// Where scripts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// One thread, and nobody is signed in.
    SignedOut,
    /// The host's tokens are in force, and a turn runs in each of two threads.
    TwoTurns,
}

/// Plays every script of `depth` symbols from the start, in this setting.
pub fn explore(setting: &Setting, start: Start, depth: usize) -> Result<Explored, Box<Failure>> {
    let mut seen = HashSet::new();
    let mut explored = Explored::default();
    let mut edge = vec![(Vec::new(), Vec::new())];
    for level in 0..=depth {
        let mut next = Vec::new();
        for (script, enabled) in edge {
            let roots = level == 0;
            let count = if roots { 1 } else { ALPHABET.len() };
            for symbol in (0..count).filter(|symbol| roots || enabled.contains(symbol)) {
                let mut longer: Vec<usize> = script.clone();
                longer.extend((!roots).then_some(symbol));
                explored.scripts += 1;
                if let Some(enabled) = visit(setting, start, &longer, &mut seen)? {
                    next.push((longer, enabled));
                }
            }
        }
        explored.last = next.len();
        edge = next;
    }
    explored.states = seen.len();
    Ok(explored)
}

/// Plays one script. If its end is new, comes to rest from there, and says what may follow.
fn visit(
    setting: &Setting,
    start: Start,
    symbols: &[usize],
    seen: &mut HashSet<u64>,
) -> Result<Option<Vec<usize>>, Box<Failure>> {
    let mut steps = prologue(start);
    steps.extend(symbols.iter().map(|symbol| ALPHABET[*symbol].1.clone()));
    let script = Script { seed: 0, setting: setting.clone(), steps };
    let played = guarded(|| {
        let mut scene = Scene::new(&script.setting, script.seed);
        for step in &script.steps {
            scene.step(step)?;
        }
        if !seen.insert(fingerprint(&scene)) {
            return Ok(None);
        }
        let enabled = (0..ALPHABET.len()).filter(|symbol| is_enabled(&scene, *symbol)).collect();
        scene.heal()?;
        Ok(Some(enabled))
    });
    played.map_err(|violation: Violation| Box::new(Failure { script, violation }))
}

fn prologue(start: Start) -> Vec<Step> {
    let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
    let threads = if start == Start::SignedOut { 1 } else { 2 };
    for _ in 0..threads {
        steps.push(plain(Say::StartThread));
        steps.push(Step::Job(0, Fault::None));
    }
    if start == Start::TwoTurns {
        steps.push(plain(Say::LoginTokens(Wanted::GOOD)));
        steps.extend((0..2).map(|slot| plain(Say::StartTurn { slot, is_empty: false })));
    }
    steps
}

/// Whether a symbol means anything now.
fn is_enabled(scene: &Scene, symbol: usize) -> bool {
    match &ALPHABET[symbol].1 {
        Step::Respond(..) => !scene.world.http().is_empty(),
        Step::Answer(..) => !scene.model.asks.is_empty(),
        Step::Job(..) => scene.world.jobs().len() > 0,
        Step::Say(Say::StartTurn { slot, .. }, ..) => *slot < scene.model.threads.len(),
        Step::Wait(_) => scene.world.timers() > 0,
        _ => true,
    }
}

/// A number that stands for all that may decide what comes next. Names and numbers that grow are
/// taken out; what is left of them is which are the same.
fn fingerprint(scene: &Scene) -> u64 {
    let mut text = String::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut name = |token: &str| {
        let next = names.len();
        *names.entry(token.to_owned()).or_insert(next)
    };
    let (model, world) = (&scene.model, &scene.world);
    let login = &model.login;
    let thread = |id: &str| model.threads.iter().position(|thread| thread == id);
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{:?} {:?} {:?} {} {:?} held {} told {:?} unattended {}",
        model.stage,
        login.kind,
        login.account,
        name(&login.token),
        login.plan,
        model.held_up(),
        model.announced,
        model.is_unattended,
    );
    let _ = write!(text, " queue {}", model.queue_shape());
    if let Some(refresh) = &model.refresh {
        let age = refresh.since.map(|since| world.mono() - since);
        let waiters = refresh.waiters.len();
        let _ = write!(text, " refresh {age:?} {waiters}");
    }
    for turn in &model.turns {
        let phase = match &turn.phase {
            Phase::Streaming { generation, bearer, status, .. } => {
                let bearer = bearer.as_deref().map(&mut name);
                let is_current = *generation == model.generation;
                format!("streaming {is_current} {bearer:?} {status:?}")
            }
            other => format!("{other:?}"),
        };
        let (at, refused, waited, joined) =
            (thread(&turn.thread), turn.refused, turn.has_waited, turn.joined);
        let _ = write!(text, " turn {at:?} {phase} {refused} {waited} {joined}");
    }
    for http in world.http() {
        let at = http.sent.thread.as_deref().map(thread);
        let _ = write!(text, " call {at:?} {}", http.answer.is_some());
    }
    let jobs: Vec<_> = world.jobs().map(|(_, job)| job).collect();
    let has_file = world.files.content(AUTH_FILE).is_some();
    let has_asked = !model.asks.is_empty();
    let work = world.machine().open_work();
    let waits = world.waits();
    let _ = write!(text, " {jobs:?} file {has_file} asked {has_asked} {work:?} {waits:?}");
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
