//! Every script of a small alphabet up to some depth. States that look the same to the model and to
//! the world are gone on from only once.
//!
//! The machine cannot be copied, so that each script is played from its beginning; that is cheap,
//! and it makes each one a script like any other when it fails.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use understudy_core::files::FileOp;

use super::grant::Grant;
use super::model::Phase;
use super::model::login::{Proof, Visit};
use super::run::{Failure, Script, guarded};
use super::scene::{Scene, Violation};
use super::setting::{AUTH_FILE, Setting};
use super::step::{Answering, Change, Named, Say, Step, Wait, Which};
use super::tokens::{Account, MANAGED_MARK, Oddity, Shape, Wanted};
use crate::world::backend::{HttpCall, Response};
use crate::world::fact::Port;
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

/// What may happen around tokens of the host's.
pub const HOSTS: &[Symbol] = &[
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

/// What may happen around a login of the server's own: in a browser, in its renewal, and by the hand
/// of another process.
pub const OWN: &[Symbol] = &[
    ("browser login", plain(Say::LoginChatGpt { legacy: false })),
    ("cancel it", plain(Say::CancelLogin { legacy: false, which: Which::Open })),
    ("port", Step::Listen(Port::Granted)),
    ("port taken", Step::Listen(Port::InUse)),
    ("code", Step::Visit(Visit::Code, Proof::Right)),
    ("code without the state", Step::Visit(Visit::Code, Proof::Wrong)),
    ("browser gives up", Step::Visit(Visit::Cancel, Proof::Right)),
    ("login with a key", plain(Say::LoginKey { legacy: false, is_empty: false })),
    ("login with tokens", plain(Say::LoginTokens(Wanted::GOOD))),
    ("logout", plain(Say::Logout { legacy: false })),
    ("turn 1", plain(Say::StartTurn { slot: 0, is_empty: false })),
    ("interrupt 1", plain(Say::Interrupt { slot: 0, named: Named::Right })),
    ("read with new tokens", plain(Say::ReadAccount { refresh: true })),
    ("401", Step::Respond(OLDEST, Response::Status(401), 1 << 16)),
    ("200", Step::Respond(OLDEST, Response::Say, 1 << 16)),
    ("lock", Step::Hold(true)),
    ("granted", Step::Grant(0, Grant::Good)),
    ("granted for elsewhere", Step::Grant(0, Grant::Elsewhere)),
    ("refused for good", Step::Grant(0, Grant::Refused(1))),
    ("refused in passing", Step::Grant(0, Grant::Broken)),
    ("store done", Step::Job(0, Fault::None)),
    ("store failed", Step::Job(0, Fault::Op(FileOp::Lock))),
    ("store lost", Step::Job(0, Fault::Lost)),
    ("others have renewed", Step::Elsewhere(Change::Refreshed)),
    ("others have signed in", Step::Elsewhere(Change::OtherAccount)),
    ("others have signed out", Step::Elsewhere(Change::Removed)),
    ("the next timer", Step::Wait(Wait::ToNext)),
];

/// What was explored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Scripts that were played.
    pub scripts: usize,
    /// States that look different.
    pub states: usize,
    /// States that were first met at the greatest depth.
    pub last: usize,
    /// What was reached.
    pub marks: BTreeSet<&'static str>,
}

/// Where scripts begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// One thread, and nobody is signed in.
    SignedOut,
    /// The host's tokens are in force, and a turn runs in each of two threads.
    TwoTurns,
    /// A turn runs with the stored login of the server's own.
    Stored,
    /// Its tokens were refused, and the authority is asked for new ones.
    Renewing,
    /// The authority has given new ones, and the store has them in hand.
    Renewed,
    /// A browser is out for a login.
    Browser,
    /// It has come back, and its code is exchanged.
    Exchanging,
    /// The store has the new login in hand.
    Saving,
}

impl Start {
    fn alphabet(self) -> &'static [Symbol] {
        match self {
            Start::SignedOut | Start::TwoTurns => HOSTS,
            _ => OWN,
        }
    }
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
            let count = if roots { 1 } else { start.alphabet().len() };
            for symbol in (0..count).filter(|symbol| roots || enabled.contains(symbol)) {
                let mut longer: Vec<usize> = script.clone();
                longer.extend((!roots).then_some(symbol));
                explored.scripts += 1;
                if let Some(enabled) =
                    visit(setting, start, &longer, &mut seen, &mut explored.marks)?
                {
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
    marks: &mut BTreeSet<&'static str>,
) -> Result<Option<Vec<usize>>, Box<Failure>> {
    let alphabet = start.alphabet();
    let mut steps = prologue(start);
    steps.extend(symbols.iter().map(|symbol| alphabet[*symbol].1.clone()));
    let script = Script { seed: 0, setting: setting.clone(), steps };
    let played = guarded(|| {
        let mut scene = Scene::new(&script.setting, script.seed);
        for step in &script.steps {
            scene.step(step)?;
        }
        if !seen.insert(fingerprint(&scene)) {
            return Ok(None);
        }
        let enabled = (0..alphabet.len()).filter(|at| is_enabled(&scene, &alphabet[*at].1));
        let enabled = enabled.collect();
        scene.heal()?;
        marks.extend(&scene.model.marks);
        Ok(Some(enabled))
    });
    played.map_err(|violation: Violation| Box::new(Failure { script, violation }))
}

fn prologue(start: Start) -> Vec<Step> {
    let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
    let threads = if start == Start::TwoTurns { 2 } else { 1 };
    for _ in 0..threads {
        steps.push(plain(Say::StartThread));
        steps.push(Step::Job(0, Fault::None));
    }
    let run = |slot| plain(Say::StartTurn { slot, is_empty: false });
    let refused = Step::Respond(0, Response::Status(401), 1 << 16);
    let (done, granted) = (Step::Job(0, Fault::None), Step::Grant(0, Grant::Good));
    // The model list, and its file.
    let list = [Step::Respond(0, Response::Say, 1 << 16), done.clone()];
    let renewing = [run(0), refused, Step::Hold(true), done];
    let browser = [
        plain(Say::LoginChatGpt { legacy: false }),
        Step::Listen(Port::Granted),
        Step::Visit(Visit::Code, Proof::Right),
        granted.clone(),
        granted.clone(),
    ];
    if !matches!(start, Start::SignedOut | Start::TwoTurns) {
        steps.extend(list);
    }
    match start {
        Start::SignedOut => {}
        Start::TwoTurns => {
            steps.push(plain(Say::LoginTokens(Wanted::GOOD)));
            steps.extend([run(0), run(1)]);
        }
        Start::Stored => steps.push(run(0)),
        Start::Renewing => steps.extend(renewing),
        Start::Renewed => {
            steps.extend(renewing);
            steps.push(granted);
        }
        Start::Browser => steps.extend_from_slice(&browser[..2]),
        Start::Exchanging => steps.extend_from_slice(&browser[..3]),
        Start::Saving => steps.extend(browser),
    }
    steps
}

/// Whether a symbol means anything now.
fn is_enabled(scene: &Scene, step: &Step) -> bool {
    let world = &scene.world;
    let is_asked = |http: &HttpCall| http.answer.is_none() && http.sent.purpose.is_authority();
    match step {
        Step::Respond(..) => world.http().iter().any(|http| !http.sent.purpose.is_authority()),
        Step::Grant(..) => world.http().iter().any(is_asked),
        Step::Answer(..) => !scene.model.asks.is_empty(),
        Step::Job(..) => world.jobs().len() > 0,
        Step::Say(Say::StartTurn { slot, .. }, ..) => *slot < scene.model.threads.len(),
        Step::Wait(_) => world.timers() > 0,
        Step::Listen(_) => world.listener().is_some_and(|listener| !listener.is_open),
        Step::Visit(..) => world.listener().is_some_and(|listener| listener.is_open),
        Step::Hold(_) => world.holds().iter().any(|hold| !hold.is_answered),
        Step::Elsewhere(_) => scene.model.refresh.is_some() || scene.model.login.own.is_some(),
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
    if let Some(managed) = model.refresh.as_ref().and_then(|refresh| refresh.managed.as_ref()) {
        let is_current = managed.origin.token == login.token;
        let _ = write!(text, " {} {} {is_current}", managed.step.name(), managed.tries);
    }
    if let Some(attempt) = &model.attempt {
        let _ = write!(text, " login {} {}", attempt.name(), attempt.id.is_some());
    }
    for errand in &model.errands {
        let _ = write!(text, " errand {:?} {}", errand.purpose(), errand.shape());
    }
    for record in [&model.stores.file, &model.stores.keyring] {
        let shape = record.shape();
        let mut words = shape.split(' ').map(|word| match word.contains(MANAGED_MARK) {
            true => name(word).to_string(),
            false => word.to_owned(),
        });
        // When it was issued decides only whose tokens are newer.
        let _ = write!(text, " {:?}", (words.next(), words.next(), words.next(), words.next()));
    }
    let _ = write!(text, " dead {} old {}", model.is_dead(), !model.ended_logins.is_empty());
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
        let (at, purpose) = (http.sent.thread.as_deref().map(thread), http.sent.purpose);
        let _ = write!(text, " call {at:?} {purpose:?} {}", http.answer.is_some());
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
