//! Every script of a small alphabet up to some depth. States that look the same to the model and to
//! the world are gone on from only once.
//!
//! What looks the same is said in [`super::state`]; [`compare`] checks that it is. A session is copied
//! for each step from a state, so that a script costs its last step; what fails is a script like any
//! other, from its beginning.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use understudy_core::HttpFailureKind;
use understudy_core::files::FileOp;

use super::grant::Grant;
use super::model::login::{Proof, Visit};
use super::run::{Failure, Script, guarded};
use super::scene::{Healing, Scene, Violation};
use super::setting::Setting;
use super::state::{self, Times, fingerprint};
use super::step::{Answering, Change, Named, Say, Step, Wait, Which};
use super::tokens::{Account, Oddity, Shape, Wanted};
use crate::world::backend::{HttpCall, Response};
use crate::world::fact::Port;
use crate::world::{Cut, Fault};

/// A symbol with its name.
pub type Symbol = (&'static str, Step);

const fn plain(what: Say) -> Step {
    Step::Say(what, false, Cut::Whole)
}

const OLDEST: usize = usize::MAX;
const TEN_SECONDS: Duration = Duration::from_secs(10);
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
    ("ten seconds", Step::Wait(Wait::For(TEN_SECONDS))),
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

/// What may happen around a login with a code that is typed elsewhere.
pub const DEVICE: &[Symbol] = &[
    ("login with a device code", plain(Say::LoginDevice)),
    ("browser login", plain(Say::LoginChatGpt { legacy: false })),
    ("cancel it", plain(Say::CancelLogin { legacy: false, which: Which::Open })),
    ("login with a key", plain(Say::LoginKey { legacy: false, is_empty: false })),
    ("login with tokens", plain(Say::LoginTokens(Wanted::GOOD))),
    ("logout", plain(Say::Logout { legacy: false })),
    ("turn 1", plain(Say::StartTurn { slot: 0, is_empty: false })),
    ("200", Step::Respond(OLDEST, Response::Say, 1 << 16)),
    ("granted", Step::Grant(0, Grant::Good)),
    ("not typed yet", Step::Grant(0, Grant::Pending)),
    ("no device codes", Step::Grant(0, Grant::Unheard)),
    ("refused for good", Step::Grant(0, Grant::Refused(1))),
    ("granted for elsewhere", Step::Grant(0, Grant::Elsewhere)),
    ("nothing granted", Step::Grant(0, Grant::Nothing)),
    ("no answer", Step::Fail(0, HttpFailureKind::Timeout)),
    ("store done", Step::Job(0, Fault::None)),
    ("store failed", Step::Job(0, Fault::Op(FileOp::Lock))),
    ("store lost", Step::Job(0, Fault::Lost)),
    ("others have signed in", Step::Elsewhere(Change::OtherAccount)),
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
    /// A device code is asked for.
    AskingCode,
    /// It is shown, and the authority is asked for the first time whether it was typed.
    Typing,
    /// It was typed, and what came of it is exchanged.
    Typed,
}

impl Start {
    /// What may happen from there.
    pub fn alphabet(self) -> &'static [Symbol] {
        match self {
            Start::SignedOut | Start::TwoTurns => HOSTS,
            Start::AskingCode | Start::Typing | Start::Typed => DEVICE,
            _ => OWN,
        }
    }

    /// How exactly times have to be told apart in scripts of `depth` symbols.
    fn times(self, depth: usize) -> Times {
        match self {
            Start::SignedOut | Start::TwoTurns => {
                let symbols = u32::try_from(depth + 1).unwrap_or(u32::MAX);
                Times::Within(TEN_SECONDS.saturating_mul(symbols))
            }
            _ => Times::InOrder,
        }
    }
}

/// The symbols of a script, by their places in the alphabet.
type Path = Box<[u8]>;

/// Sets of states, cut in pieces so that threads seldom meet.
struct States(Vec<Mutex<HashSet<u128>>>);

impl States {
    fn new() -> Self {
        Self((0..64).map(|_| Mutex::default()).collect())
    }

    fn piece(&self, state: u128) -> MutexGuard<'_, HashSet<u128>> {
        let piece = &self.0[usize::from(state.to_le_bytes()[0]) % self.0.len()];
        piece.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this one is new.
    fn insert(&self, state: u128) -> bool {
        self.piece(state).insert(state)
    }

    fn has(&self, state: u128) -> bool {
        self.piece(state).contains(&state)
    }

    fn count(&self) -> usize {
        let len = |piece: &Mutex<HashSet<u128>>| {
            piece.lock().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.0.iter().map(len).sum()
    }
}

/// A search from one beginning.
struct Search<'a> {
    setting: &'a Setting,
    start: Start,
    times: Times,
    /// States that scripts have reached.
    seen: States,
    /// States from which everything has come to rest.
    healed: States,
}

/// What one thread has found on one level.
#[derive(Default)]
struct Found {
    next: Vec<Path>,
    scripts: usize,
    marks: BTreeSet<&'static str>,
}

/// Plays every script of `depth` symbols from the start, in this setting, on so many threads. `told`
/// hears of each level: its depth, and what was explored until there.
pub fn explore(
    setting: &Setting,
    start: Start,
    depth: usize,
    threads: usize,
    mut told: impl FnMut(usize, &Explored),
) -> Result<Explored, Box<Failure>> {
    let (seen, healed) = (States::new(), States::new());
    let search = Search { setting, start, times: start.times(depth), seen, healed };
    let mut explored = Explored::default();
    let mut edge = vec![Path::default()];
    search.visit_root(&mut explored)?;
    for level in 1..=depth {
        let found = search.level(&edge, threads.max(1))?;
        edge = found.next;
        explored.scripts += found.scripts;
        explored.marks.extend(found.marks);
        explored.states = search.seen.count();
        explored.last = edge.len();
        told(level, &explored);
    }
    Ok(explored)
}

impl Search<'_> {
    fn script(&self, path: &[u8]) -> Script {
        let alphabet = self.start.alphabet();
        let mut steps = prologue(self.start);
        steps.extend(path.iter().map(|symbol| alphabet[usize::from(*symbol)].1.clone()));
        Script { seed: 0, setting: self.setting.clone(), steps }
    }

    fn failure(&self, path: &[u8], violation: Violation) -> Box<Failure> {
        Box::new(Failure { script: self.script(path), violation })
    }

    /// The state that every script begins with.
    fn root(&self) -> Result<Scene, Violation> {
        let mut scene = Scene::new(self.setting, 0);
        for step in prologue(self.start) {
            scene.step(&step)?;
        }
        Ok(scene)
    }

    fn visit_root(&self, explored: &mut Explored) -> Result<(), Box<Failure>> {
        let visited = guarded(|| {
            let scene = self.root()?;
            let state = fingerprint(&scene, self.times);
            self.seen.insert(state);
            explored.marks.extend(&scene.model.marks);
            self.heal(scene, state)
        });
        explored.scripts += 1;
        visited.map_err(|violation| self.failure(&[], violation))
    }

    /// Takes every step from every state at the edge.
    fn level(&self, edge: &[Path], threads: usize) -> Result<Found, Box<Failure>> {
        if threads == 1 {
            return self.share(edge);
        }
        let shares = edge.chunks(edge.len().div_ceil(threads).max(1));
        thread::scope(|scope| {
            let workers: Vec<_> = shares.map(|share| scope.spawn(|| self.share(share))).collect();
            let mut all = Found::default();
            for worker in workers {
                let found = worker.join().unwrap_or_else(|panic| resume_unwind(panic))?;
                all.next.extend(found.next);
                all.scripts += found.scripts;
                all.marks.extend(found.marks);
            }
            Ok(all)
        })
    }

    fn share(&self, edge: &[Path]) -> Result<Found, Box<Failure>> {
        let mut found = Found::default();
        let root = guarded(|| self.root()).map_err(|violation| self.failure(&[], violation))?;
        for path in edge {
            let scene = self.play(&root, path).map_err(|v| self.failure(path, v))?;
            for (symbol, (_, step)) in self.start.alphabet().iter().enumerate() {
                if !is_enabled(&scene, step) {
                    continue;
                }
                found.scripts += 1;
                let mut longer = path.to_vec();
                longer.push(u8::try_from(symbol).unwrap_or(u8::MAX));
                let is_new = guarded(|| self.visit(scene.fork(), step, &mut found.marks));
                if is_new.map_err(|violation| self.failure(&longer, violation))? {
                    found.next.push(longer.into());
                }
            }
        }
        Ok(found)
    }

    fn play(&self, root: &Scene, path: &[u8]) -> Result<Scene, Violation> {
        let alphabet = self.start.alphabet();
        guarded(|| {
            let mut scene = root.fork();
            for symbol in path {
                scene.step(&alphabet[usize::from(*symbol)].1)?;
            }
            Ok(scene)
        })
    }

    /// Takes a step. If what comes of it is new, sees to it that it comes to rest.
    fn visit(
        &self,
        mut scene: Scene,
        step: &Step,
        marks: &mut BTreeSet<&'static str>,
    ) -> Result<bool, Violation> {
        scene.step(step)?;
        let state = fingerprint(&scene, self.times);
        if !self.seen.insert(state) {
            return Ok(false);
        }
        marks.extend(&scene.model.marks);
        self.heal(scene, state)?;
        Ok(true)
    }

    /// Comes to rest, or to a state from which another script has.
    fn heal(&self, mut scene: Scene, from: u128) -> Result<(), Violation> {
        let mut way = vec![from];
        if self.healed.has(from) {
            return Ok(());
        }
        let end = scene.heal_until(|scene| {
            let state = fingerprint(scene, self.times);
            if self.healed.has(state) {
                return Healing::Known;
            }
            if way.contains(&state) {
                return Healing::Circle;
            }
            way.push(state);
            Healing::New
        });
        for state in way {
            self.healed.insert(state);
        }
        end
    }
}

/// Plays every script of `depth` symbols, also from states that were met before, and compares: from
/// states that look the same the same steps must be possible, and lead to states that look the same.
/// Gives the number of scripts and of states; the error tells of two scripts that differ.
pub fn compare(setting: &Setting, start: Start, depth: usize) -> Result<(usize, usize), String> {
    let (seen, healed) = (States::new(), States::new());
    let search = Search { setting, start, times: start.times(depth), seen, healed };
    let told = |violation: Violation| format!("{}: {}", violation.rule, violation.text);
    let root = guarded(|| search.root()).map_err(told)?;
    let mut known: BTreeMap<u128, (Path, Vec<(usize, u128)>)> = BTreeMap::new();
    let mut edge = vec![Path::default()];
    let mut scripts = 0;
    for _ in 0..depth {
        for path in std::mem::take(&mut edge) {
            let scene = search.play(&root, &path).map_err(told)?;
            let mut steps = Vec::new();
            for (symbol, (_, step)) in start.alphabet().iter().enumerate() {
                if !is_enabled(&scene, step) {
                    continue;
                }
                scripts += 1;
                let mut next = scene.fork();
                guarded(|| next.step(step)).map_err(told)?;
                steps.push((symbol, fingerprint(&next, search.times)));
                let mut longer = path.to_vec();
                longer.push(u8::try_from(symbol).unwrap_or(u8::MAX));
                edge.push(longer.into());
            }
            let state = fingerprint(&scene, search.times);
            let (other, known) =
                known.entry(state).or_insert_with(|| (path.clone(), steps.clone()));
            if *known != steps {
                return Err(search.difference(&root, &[other, &path]));
            }
        }
    }
    Ok((scripts, known.len()))
}

impl Search<'_> {
    /// In what two scripts differ that have led to the same state.
    fn difference(&self, root: &Scene, paths: &[&[u8]; 2]) -> String {
        let alphabet = self.start.alphabet();
        let mut text = String::new();
        for path in paths {
            let names = path.iter().map(|symbol| alphabet[usize::from(*symbol)].0);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", names.collect::<Vec<_>>().join(", "));
        }
        for (name, step) in alphabet {
            let after = paths.map(|path| {
                let mut scene =
                    self.play(root, path).ok().filter(|scene| is_enabled(scene, step))?;
                guarded(|| scene.step(step)).ok()?;
                Some(state::text(&scene, self.times))
            });
            let [one, other] = after;
            if one != other {
                let lines = |text: Option<String>| text.unwrap_or("(not possible)".to_owned());
                let _ = writeln!(text, "then {name}:\n{}\n{}", lines(one), lines(other));
                break;
            }
        }
        text
    }
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
    let asked = [plain(Say::LoginDevice), granted.clone(), Step::Wait(Wait::ToNext)];
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
        Start::AskingCode => steps.extend_from_slice(&asked[..1]),
        Start::Typing => steps.extend(asked),
        Start::Typed => {
            steps.extend(asked);
            steps.push(granted);
        }
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
        Step::Fail(..) => !world.http().is_empty(),
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
