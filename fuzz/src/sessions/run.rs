//! Whole sessions by seed: see [`crate::sim`].

use std::ops::Range;

use super::scene::Scene;
use super::setting::Setting;
use super::step::{self, Deed, Step, Swarm};
use crate::choose::Choose;
use crate::sim::Violation;
use crate::sim::play::{Kind, Played};
use crate::world::Cut;
use crate::world::disk::Harm;

/// A session as data.
pub type Script = crate::sim::play::Script<Scene>;
/// A session that broke a rule.
pub type Failure = crate::sim::play::Failure<Scene>;

impl Kind for Scene {
    type Setting = Setting;
    type Step = Step;
    type Swarm = Swarm;

    const NAME: &'static str = "sessions";
    const STEPS: Range<u32> = 20..160;

    fn setting(c: &mut impl Choose) -> Option<Setting> {
        Setting::choose(c)
    }

    fn prologue(c: &mut impl Choose, setting: &Setting) -> Option<Vec<Step>> {
        step::prologue(c, setting)
    }

    fn swarm(c: &mut impl Choose, _: &Setting) -> Option<Swarm> {
        Swarm::choose(c)
    }

    fn next(&self, c: &mut impl Choose, swarm: &Swarm) -> Option<Step> {
        step::next_step(c, swarm, self)
    }

    fn begin(setting: &Setting, seed: u64, is_loud: bool) -> Self {
        Scene::new(setting, seed, is_loud)
    }

    fn step(&mut self, step: &Step) -> Result<(), Violation> {
        Scene::step(self, step)
    }

    fn heal(&mut self) -> Result<(), Violation> {
        Scene::heal(self)
    }

    fn played(mut self) -> Played {
        let [mut digest, mut seen_digest] = self.digests;
        for desk in &self.desks {
            self.rows.extend(desk.world.machine().rows_reached());
            digest = digest.rotate_left(7) ^ desk.world.digest();
            seen_digest = seen_digest.rotate_left(7) ^ desk.world.seen_digest();
        }
        self.tally.session(&self.rows, &self.marks);
        Played { marks: self.marks, digest, seen_digest, tally: self.tally }
    }

    fn smaller(step: &Step) -> Option<Step> {
        let Step(desk, deed) = step;
        Some(Step(*desk, smaller(deed)?))
    }

    fn cut(step: &mut Step) {
        if let Deed::Say(_, cut @ (Cut::Whole | Cut::At(_))) = &mut step.1 {
            *cut = Cut::Bytes;
        }
    }
}

fn smaller(deed: &Deed) -> Option<Deed> {
    Some(match deed {
        Deed::Say(what, cut) if *cut != Cut::Whole => Deed::Say(*what, Cut::Whole),
        Deed::Respond(nth, reply, piece) if *piece < 1 << 20 => {
            Deed::Respond(*nth, reply.clone(), 1 << 20)
        }
        Deed::Respond(nth, reply, piece) if *nth > 0 => {
            Deed::Respond(nth / 2, reply.clone(), *piece)
        }
        Deed::Finish(nth, piece) if *piece < 1 << 20 => Deed::Finish(*nth, 1 << 20),
        Deed::Job(harm) if *harm != Harm::None => Deed::Job(Harm::None),
        Deed::Crash(harm) if *harm != Harm::None => Deed::Crash(Harm::None),
        Deed::Program(nth, act) if *nth > 0 => Deed::Program(nth / 2, *act),
        _ => return None,
    })
}
