//! Playing one session: out of a seed, out of choices, out of a script; again; and ever smaller.

use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Violation;
use super::tally::Tally;
use crate::choose::{Choose, Seeded};
use crate::world::log;

/// A kind of world: what its sessions are made of. The value is a session in progress.
pub trait Kind: Sized {
    /// How it is set up, as data.
    type Setting: Clone + Debug + Default + PartialEq;
    /// A step, as data that means something in every session.
    type Step: Clone + Debug + PartialEq;
    /// What may happen in a session, and how often.
    type Swarm;

    /// What it is called on the command line.
    const NAME: &'static str;
    /// How many steps a session has before it is healed.
    const STEPS: Range<u32>;

    /// Any setting.
    fn setting(c: &mut impl Choose) -> Option<Self::Setting>;
    /// What a session begins with.
    fn prologue(c: &mut impl Choose, setting: &Self::Setting) -> Option<Vec<Self::Step>>;
    /// Draws what a session is about.
    fn swarm(c: &mut impl Choose, setting: &Self::Setting) -> Option<Self::Swarm>;
    /// The next step; `None` when choices have run dry.
    fn next(&self, c: &mut impl Choose, swarm: &Self::Swarm) -> Option<Self::Step>;

    /// A session that has just begun. With `is_loud` it says what happens.
    fn begin(setting: &Self::Setting, seed: u64, is_loud: bool) -> Self;
    /// Takes a step and checks every rule.
    fn step(&mut self, step: &Self::Step) -> Result<(), Violation>;
    /// Heals everything; then nothing may be left.
    fn heal(&mut self) -> Result<(), Violation>;
    /// What the session has shown.
    fn played(self) -> Played;

    /// A step that is simpler and does much the same; none if there is none.
    fn smaller(step: &Self::Step) -> Option<Self::Step>;
    /// Cuts what the step says into bytes, where it need not come in pieces.
    fn cut(step: &mut Self::Step);
}

/// A session as data.
pub struct Script<K: Kind> {
    /// The machine's seed.
    pub seed: u64,
    /// How it is set up.
    pub setting: K::Setting,
    /// What happens.
    pub steps: Vec<K::Step>,
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
    /// What happened, in numbers.
    pub tally: Tally,
}

/// A session that broke a rule.
pub struct Failure<K: Kind> {
    /// What was done.
    pub script: Script<K>,
    /// What broke.
    pub violation: Violation,
}

// Derived, these would ask the same of the kind itself.
impl<K: Kind> Clone for Script<K> {
    fn clone(&self) -> Self {
        Self { seed: self.seed, setting: self.setting.clone(), steps: self.steps.clone() }
    }
}

impl<K: Kind> PartialEq for Script<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.seed, &self.setting, &self.steps) == (other.seed, &other.setting, &other.steps)
    }
}

impl<K: Kind> Debug for Script<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("seed", &self.seed)
            .field("setting", &self.setting)
            .field("steps", &self.steps)
            .finish()
    }
}

impl<K: Kind> Debug for Failure<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("script", &self.script)
            .field("violation", &self.violation)
            .finish()
    }
}

/// The name of the rule that the same session gives the same bytes.
pub const SAME_AGAIN: &str = "d8_the_same_again";
/// The name of the rule that it does not matter where bytes are cut.
pub const ANY_CHUNKS: &str = "d9_chunks_do_not_matter";
/// The name of the rule that everything comes to rest.
pub const LIVENESS: &str = "liveness_everything_comes_to_rest";

/// Makes and plays the session of a seed.
pub fn play_seed<K: Kind>(seed: u64) -> Result<(Script<K>, Played), Failure<K>> {
    play_choices(seed, &mut Seeded(seed))
}

/// The same session again must give the same bytes (design.md §4.8).
pub fn play_again<K: Kind>(script: &Script<K>, played: &Played) -> Result<(), Failure<K>> {
    let fail = |text: &str| {
        let violation = Violation { rule: SAME_AGAIN, text: text.to_owned() };
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
pub fn play_in_bytes<K: Kind>(script: &Script<K>, played: &Played) -> Result<(), Failure<K>> {
    let mut cut = script.clone();
    cut.steps.iter_mut().for_each(K::cut);
    let fail = |text: &str| {
        let violation = Violation { rule: ANY_CHUNKS, text: text.to_owned() };
        Err(Failure { script: script.clone(), violation })
    };
    match play(&cut) {
        Ok(again) if again.seen_digest == played.seen_digest => Ok(()),
        Ok(_) => fail("something else was seen when the bytes came one by one"),
        Err(violation) => fail(&violation.text),
    }
}

/// Makes a session out of choices, and plays it.
pub fn play_choices<K: Kind>(
    seed: u64,
    c: &mut impl Choose,
) -> Result<(Script<K>, Played), Failure<K>> {
    let setting = K::setting(c).unwrap_or_default();
    let mut script = Script::<K> { seed, setting, steps: Vec::new() };
    let result = guarded(|| {
        let mut scene = K::begin(&script.setting, seed, false);
        for step in K::prologue(c, &script.setting).unwrap_or_default() {
            script.steps.push(step.clone());
            scene.step(&step)?;
        }
        let swarm = K::swarm(c, &script.setting);
        let Range { start, end } = K::STEPS;
        let count = start + c.below(end - start).unwrap_or_default();
        if let Some(swarm) = swarm {
            for _ in 0..count {
                let Some(step) = scene.next(c, &swarm) else { break };
                script.steps.push(step.clone());
                scene.step(&step)?;
            }
        }
        scene.heal()?;
        Ok(scene.played())
    });
    match result {
        Ok(played) => Ok((script, played)),
        Err(violation) => Err(Failure { script, violation }),
    }
}

/// Plays a session that was written down.
pub fn play<K: Kind>(script: &Script<K>) -> Result<Played, Violation> {
    follow(script, false)
}

/// The same, and says what happens.
pub fn play_aloud<K: Kind>(script: &Script<K>) -> Result<Played, Violation> {
    follow(script, true)
}

fn follow<K: Kind>(script: &Script<K>, is_loud: bool) -> Result<Played, Violation> {
    guarded(|| {
        let mut scene = K::begin(&script.setting, script.seed, is_loud);
        for step in &script.steps {
            if is_loud {
                println!("{step:?}");
            }
            scene.step(step)?;
        }
        scene.heal()?;
        Ok(scene.played())
    })
}

/// A panic of the machine is a violation like any other.
pub(crate) fn guarded<T>(play: impl FnOnce() -> Result<T, Violation>) -> Result<T, Violation> {
    log::install();
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { rule: "no_panic", text: text.unwrap_or_default() })
    })
}

impl<K: Kind> Failure<K> {
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
                let Some(smaller) = K::smaller(step) else { break };
                *step = smaller;
                if !self.takes(simpler) {
                    break;
                }
            }
        }
    }

    /// Takes the script if it fails in the same way.
    fn takes(&mut self, script: Script<K>) -> bool {
        let played = play(&script);
        let outcome = match self.violation.rule {
            SAME_AGAIN => played.map(|played| play_again(&script, &played)),
            ANY_CHUNKS => played.map(|played| play_in_bytes(&script, &played)),
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

    /// What happened, and the command that plays it again.
    pub fn told(&self, replay_line: &str) -> String {
        let Failure { script, violation } = self;
        let steps = script.steps.iter().map(|step| format!("  {step:?}\n"));
        let (rule, text, setting) = (violation.rule, &violation.text, &script.setting);
        let healed = if rule == LIVENESS { "  (then everything is healed)\n" } else { "" };
        let steps: String = steps.collect();
        format!("{rule}: {text}\nto see it again: {replay_line}\n{setting:?}\n{steps}{healed}")
    }

    /// The command that plays the session of this seed again.
    pub fn replay_line(&self) -> String {
        let (world, seed) = (K::NAME, self.script.seed);
        format!(
            "cargo run --release -p understudy-fuzz --bin simulate -- --world {world} --seed {seed}"
        )
    }
}

impl<K: Kind> fmt::Display for Failure<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&self.replay_line()))
    }
}
