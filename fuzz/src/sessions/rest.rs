//! Coming to rest: everything is healed, and then nothing may be left and every promise was kept.

use std::collections::BTreeSet;

use super::ledger::Thread;
use super::reply::Reply;
use super::scene::{Desk, Scene};
use super::step::{Act, Answering, Deed, Say, Step, Wait};
use crate::sim::Violation;
use crate::sim::play::LIVENESS;
use crate::world::Cut;
use crate::world::backend::Response;
use crate::world::disk::Harm;

impl Scene {
    /// Heals everything; then nothing may be left, and every promise was kept.
    pub fn heal(&mut self) -> Result<(), Violation> {
        for number in 0..self.desks.len() {
            self.step(&Step(number, Deed::ResumeReading))?;
            self.listen_to_all(number)?;
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

    /// What nobody has listened to is heard now.
    fn listen_to_all(&mut self, number: usize) -> Result<(), Violation> {
        if !self.desks[number].may_be_unheard {
            return Ok(());
        }
        let own = self.ledger.threads.iter().filter(|thread| thread.is_at(number)).count();
        (0..own)
            .try_for_each(|slot| self.step(&Step(number, Deed::Say(Say::Listen(slot), Cut::Whole))))
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
        // Of a thread that was put away while nobody listened, nothing more is heard.
        let is_forgotten = |id: &str| {
            let thread = self.ledger.threads.iter().find(|thread| thread.id == id);
            desk.may_be_unheard && thread.is_some_and(Thread::is_unsettled)
        };
        let mut running = desk.grammar.running();
        if let Some((thread, turn)) = running.find(|(thread, _)| !is_forgotten(thread)) {
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
        self.check_lines()?;
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

impl Scene {
    /// Lines of threads are whole, but for those that a write was torn in: no machine goes on with
    /// another's. A file begins with the line that says which thread it is.
    fn check_lines(&self) -> Result<(), Violation> {
        // A copy of a thread has the same torn lines.
        let (mut broken, paths) = (BTreeSet::new(), self.files.paths());
        for path in paths.iter().filter(|path| path.to_string_lossy().contains("/rollout-")) {
            let content = self.files.content(path).unwrap_or_default();
            let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let first = lines.clone().next().map(serde_json::from_slice::<Line>);
            if let Some(Ok(Line { kind, .. })) = first
                && kind != "session_meta"
            {
                let text = format!("{} begins with {kind}", path.display());
                return Err(Violation { rule: "s_files_say_their_threads", text });
            }
            let torn = lines.filter(|line| serde_json::from_slice::<Line>(line).is_err());
            broken.extend(torn.map(<[u8]>::to_vec));
        }
        if broken.len() <= self.ledger.tears {
            return Ok(());
        }
        let (lines, tears) = (broken.len(), self.ledger.tears);
        let text = format!("{lines} lines are none, after {tears} torn writes");
        Err(Violation { rule: "s_lines_are_whole", text })
    }
}

/// A line of a thread's file. No member is there twice.
#[derive(serde::Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "payload")]
    _payload: serde_json::Value,
    #[serde(default, rename = "understudy")]
    _notes: serde_json::Value,
}

fn fail(text: String) -> Result<(), Violation> {
    Err(Violation { rule: LIVENESS, text })
}
