//! Sessions by seed: made, checked, run again, and made small when they fail.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::scene::{LIVENESS, Scene, Violation};
use super::setting::Setting;
use super::step::{self, Step, Swarm};
use crate::choose::{Choose, Seeded};
use crate::world::{Cut, Fault, log};

/// The most steps that a session has before it is healed.
const STEPS_MAX: u32 = 60;

/// A session as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The machine's seed.
    pub seed: u64,
    /// How it is set up.
    pub setting: Setting,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What a session has shown.
#[derive(Clone, Debug)]
pub struct Played {
    /// What was reached.
    pub marks: BTreeSet<&'static str>,
    /// Stands for all that came out.
    pub digest: u64,
    /// Stands for what the host and the backend saw.
    pub seen_digest: u64,
}

/// A session that broke a rule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was done.
    pub script: Script,
    /// What broke.
    pub violation: Violation,
}

/// Makes and plays the session of a seed.
pub fn play_seed(seed: u64) -> Result<(Script, Played), Failure> {
    play_choices(seed, &mut Seeded(seed))
}

/// The same session again must give the same bytes (design.md §4.8).
pub fn play_again(script: &Script, played: &Played) -> Result<(), Failure> {
    let fail = |text: &str| {
        let violation = Violation { rule: "d8_the_same_again", text: text.to_owned() };
        Err(Failure { script: script.clone(), violation })
    };
    match play(script) {
        Ok(again) if again.digest == played.digest => Ok(()),
        Ok(_) => fail("other bytes came out"),
        Err(violation) => fail(&violation.text),
    }
}

/// The host and the backend see the same wherever the host's bytes are cut, and also when lines come
/// one by one that came together.
pub fn play_in_bytes(script: &Script, played: &Played) -> Result<(), Failure> {
    let mut cut = script.clone();
    for step in &mut cut.steps {
        if let Step::Say(_, _, cut @ (Cut::Whole | Cut::At(_))) = step {
            *cut = Cut::Bytes;
        }
    }
    let fail = |text: &str| {
        let violation = Violation { rule: "d9_chunks_do_not_matter", text: text.to_owned() };
        Err(Failure { script: script.clone(), violation })
    };
    match play(&cut) {
        Ok(again) if again.seen_digest == played.seen_digest => Ok(()),
        Ok(_) => fail("something else was seen when the bytes came one by one"),
        Err(violation) => fail(&violation.text),
    }
}

/// Makes a session out of choices, and plays it.
pub fn play_choices(seed: u64, c: &mut impl Choose) -> Result<(Script, Played), Failure> {
    let setting = Setting::choose(c).unwrap_or_default();
    let mut script = Script { seed, setting, steps: Vec::new() };
    let result = guarded(|| {
        let mut scene = Scene::new(&script.setting, seed);
        for step in step::prologue(c, &script.setting).unwrap_or_default() {
            script.steps.push(step.clone());
            scene.step(&step)?;
        }
        let swarm = Swarm::choose(c, &script.setting);
        let count = 10 + c.below(STEPS_MAX - 10).unwrap_or_default();
        if let Some(swarm) = swarm {
            for _ in 0..count {
                let Some(step) = step::next_step(c, &swarm, &scene) else { break };
                script.steps.push(step.clone());
                scene.step(&step)?;
            }
        }
        finish(&mut scene)
    });
    match result {
        Ok(played) => Ok((script, played)),
        Err(violation) => Err(Failure { script, violation }),
    }
}

/// Plays a session that was written down.
pub fn play(script: &Script) -> Result<Played, Violation> {
    guarded(|| {
        let mut scene = Scene::new(&script.setting, script.seed);
        for step in &script.steps {
            scene.step(step)?;
        }
        finish(&mut scene)
    })
}

fn finish(scene: &mut Scene) -> Result<Played, Violation> {
    scene.heal()?;
    Ok(Played {
        marks: std::mem::take(&mut scene.model.marks),
        digest: scene.world.digest(),
        seen_digest: scene.world.seen_digest(),
    })
}

/// A panic of the machine is a violation like any other.
pub(super) fn guarded<T>(play: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    log::install();
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { rule: "no_panic", text: text.unwrap_or_default() })
    })
}

impl Failure {
    /// The same failure of the same rule with fewer and simpler steps.
    #[must_use]
    pub fn minimised(mut self) -> Self {
        let mut width = self.script.steps.len().div_ceil(2).max(1);
        loop {
            let before = self.script.clone();
            self.delete_steps(width);
            self.simplify();
            if width == 1 && self.script == before {
                return self;
            }
            width = width.div_ceil(2);
        }
    }

    fn delete_steps(&mut self, width: usize) {
        let mut at = 0;
        while at < self.script.steps.len() {
            let mut shorter = self.script.clone();
            shorter.steps.drain(at..(at + width).min(shorter.steps.len()));
            if !self.takes(shorter) {
                at += width;
            }
        }
    }

    fn simplify(&mut self) {
        for at in 0..self.script.steps.len() {
            loop {
                let mut simpler = self.script.clone();
                let Some(step) = simpler.steps.get_mut(at) else { break };
                let Some(smaller) = smaller(step) else { break };
                *step = smaller;
                if !self.takes(simpler) {
                    break;
                }
            }
        }
    }

    /// Takes the script if it fails in the same way.
    fn takes(&mut self, script: Script) -> bool {
        let played = play(&script);
        let outcome = match self.violation.rule {
            "d8_the_same_again" => played.map(|played| play_again(&script, &played)),
            "d9_chunks_do_not_matter" => played.map(|played| play_in_bytes(&script, &played)),
            _ => played.map(|_| Ok(())),
        };
        match outcome.and_then(|again| again.map_err(|failure| failure.violation)) {
            Err(violation) if violation.rule == self.violation.rule => {
                *self = Self { script, violation };
                true
            }
            Ok(_) | Err(_) => false,
        }
    }
}

/// A step that is simpler and does much the same; none if there is none.
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { script, violation } = self;
        writeln!(f, "{}: {}", violation.rule, violation.text)?;
        writeln!(
            f,
            "to see it again: UNDERSTUDY_SEED={:#x} cargo test -p understudy-fuzz --test auth_random",
            script.seed
        )?;
        writeln!(f, "{:?}", script.setting)?;
        for step in &script.steps {
            writeln!(f, "  {step:?}")?;
        }
        if violation.rule == LIVENESS {
            writeln!(f, "  (then everything is healed)")?;
        }
        Ok(())
    }
}
