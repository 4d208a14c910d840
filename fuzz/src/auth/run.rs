//! Sessions about credentials, by seed: see [`crate::sim`].

use std::ops::Range;

use super::draw::{self, Swarm};
use super::scene::Scene;
use super::setting::Setting;
use super::step::Step;
use crate::choose::{Bytes, Choose};
use crate::sim::Violation;
use crate::sim::play::Kind;
pub(super) use crate::sim::play::guarded;
pub use crate::sim::play::{Played, play, play_again, play_choices, play_in_bytes, play_seed};
use crate::world::{Cut, Fault};

/// A session as data.
pub type Script = crate::sim::play::Script<Scene>;
/// A session that broke a rule.
pub type Failure = crate::sim::play::Failure<Scene>;

/// The command that plays the session of a fuzzer's input again. The fuzzer keeps the input.
pub const INPUT_REPLAY_LINE: &str =
    "cargo run --release -p understudy-fuzz --bin simulate -- --input FILE --verbose";

/// The session that a fuzzer's input makes: as it is, again, and with the host's bytes one by one.
pub fn play_input(data: &[u8]) -> Result<(Script, Played), Failure> {
    let (script, played) = play_choices(0, &mut Bytes(data))?;
    play_again(&script, &played)?;
    play_in_bytes(&script, &played)?;
    Ok((script, played))
}

impl Kind for Scene {
    type Setting = Setting;
    type Step = Step;
    type Swarm = Swarm;

    const NAME: &'static str = "auth";
    const STEPS: Range<u32> = 10..60;

    fn setting(c: &mut impl Choose) -> Option<Setting> {
        Setting::choose(c)
    }

    fn prologue(c: &mut impl Choose, setting: &Setting) -> Option<Vec<Step>> {
        draw::prologue(c, setting)
    }

    fn swarm(c: &mut impl Choose, setting: &Setting) -> Option<Swarm> {
        Swarm::choose(c, setting)
    }

    fn next(&self, c: &mut impl Choose, swarm: &Swarm) -> Option<Step> {
        draw::next_step(c, swarm, self)
    }

    fn begin(setting: &Setting, seed: u64, is_loud: bool) -> Self {
        let mut scene = Scene::new(setting, seed);
        scene.is_loud = is_loud;
        scene
    }

    fn step(&mut self, step: &Step) -> Result<(), Violation> {
        Scene::step(self, step)
    }

    fn heal(&mut self) -> Result<(), Violation> {
        Scene::heal(self)
    }

    fn played(self) -> Played {
        let (digest, seen_digest) = (self.world.digest(), self.world.seen_digest());
        let marks = self.model.marks;
        let mut tally = self.tally;
        tally.session(self.world.machine().rows_reached(), &marks);
        Played { marks, digest, seen_digest, tally }
    }

    fn smaller(step: &Step) -> Option<Step> {
        smaller(step)
    }

    fn cut(step: &mut Step) {
        if let Step::Say(_, _, cut @ (Cut::Whole | Cut::At(_))) = step {
            *cut = Cut::Bytes;
        }
    }
}

fn smaller(step: &Step) -> Option<Step> {
    let halved = |n: usize| (n > 0).then_some(n / 2);
    Some(match step {
        Step::Say(what, hold, cut) if *hold || *cut != Cut::Whole => {
            if *hold {
                Step::Say(*what, false, *cut)
            } else {
                Step::Say(*what, false, Cut::Whole)
            }
        }
        Step::Answer(nth, what) => Step::Answer(halved(*nth)?, *what),
        Step::Respond(nth, response, piece) if *piece < 1 << 20 => {
            Step::Respond(*nth, *response, 1 << 20)
        }
        Step::Respond(nth, response, piece) => Step::Respond(halved(*nth)?, *response, *piece),
        Step::Head(nth, response) => Step::Head(halved(*nth)?, *response),
        Step::Body(nth, len) if *len > 1 => Step::Body(*nth, len / 2),
        Step::Finish(nth, piece) if *piece < 1 << 20 => Step::Finish(*nth, 1 << 20),
        Step::Finish(nth, piece) => Step::Finish(halved(*nth)?, *piece),
        Step::Job(nth, fault) if *nth > 0 => Step::Job(nth / 2, *fault),
        Step::Job(0, fault) if *fault != Fault::None => Step::Job(0, Fault::None),
        _ => return None,
    })
}
