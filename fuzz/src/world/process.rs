//! Programs in a world: they are started, say something and end when the script says so.

use std::rc::Rc;

use understudy_core::{
    CallId, Input, Outcome, OutputStream, ProcessExit, ProcessFailure, ProcessFailureKind,
    ProcessRequest, Stdio, limits,
};

use super::World;
use super::fact::Fact;

/// A program as it was started.
#[derive(Clone, Debug)]
pub struct Spawned {
    /// Its call.
    pub call: CallId,
    /// Its words.
    pub argv: Vec<String>,
    /// A sandbox holds it back.
    pub is_confined: bool,
    /// It has a terminal.
    pub has_terminal: bool,
}

/// A program that was started and whose end was not told.
#[derive(Clone, Debug)]
pub struct Program {
    /// As it was started.
    pub spawned: Rc<Spawned>,
    /// It was killed, and its end is still to be told.
    pub is_killed: bool,
}

impl World {
    /// Programs whose end was not told, oldest first.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// A program says something.
    pub fn program_says(&mut self, call: CallId, stream: OutputStream, bytes: &[u8]) {
        let is_running = self.programs.iter().any(|p| p.spawned.call == call && !p.is_killed);
        if is_running && self.accepts_parts() {
            let bytes = bytes.get(..limits::PROCESS_CHUNK_BYTES).unwrap_or(bytes);
            self.facts.push(Fact::ProgramSaid(call, bytes.len()));
            self.input(Input::Done(call, Outcome::ProcessOutput(stream, bytes)));
        }
    }

    /// A program ends; one that was killed ends by that.
    pub fn program_ends(&mut self, call: CallId, code: i32) {
        let Some(program) = self.take_program(call) else { return };
        let exit = if program.is_killed { ProcessExit::Signal(9) } else { ProcessExit::Code(code) };
        self.input(Input::Done(call, Outcome::ProcessExited(exit)));
    }

    /// A program could not be started.
    pub fn program_fails(&mut self, call: CallId, kind: ProcessFailureKind) {
        if self.take_program(call).is_some() {
            let failure = ProcessFailure { kind, text: "scripted: it does not start".to_owned() };
            self.input(Input::Done(call, Outcome::ProcessFailed(failure)));
        }
    }

    /// The runtime loses a program.
    pub fn lose_program(&mut self, call: CallId) {
        if self.take_program(call).is_some() {
            self.input(Input::Done(call, Outcome::Lost));
        }
    }

    fn take_program(&mut self, call: CallId) -> Option<Program> {
        let at = self.programs.iter().position(|program| program.spawned.call == call)?;
        let program = self.programs.remove(at);
        self.facts.push(Fact::ProgramEnded(call));
        self.exit.is_none().then_some(program)
    }

    pub(super) fn start_program(&mut self, call: CallId, request: &ProcessRequest) {
        for word in &request.argv {
            self.note(call.0, word.as_bytes());
        }
        if !self.is_whole {
            // There is no program here.
            let text = "No such file or directory (os error 2)".to_owned();
            let failure = ProcessFailure { kind: ProcessFailureKind::Program, text };
            return self.instant.push_back((call, Outcome::ProcessFailed(failure)));
        }
        let spawned = Rc::new(Spawned {
            call,
            argv: request.argv.clone(),
            is_confined: request.confinement.is_some(),
            has_terminal: matches!(request.stdio, Stdio::Terminal { .. }),
        });
        self.programs.push(Program { spawned: Rc::clone(&spawned), is_killed: false });
        self.facts.push(Fact::Spawned(spawned));
    }

    pub(super) fn kill_program(&mut self, call: CallId) {
        for program in self.programs.iter_mut().filter(|p| p.spawned.call == call) {
            program.is_killed = true;
            self.facts.push(Fact::Killed(call));
        }
    }

    pub(super) fn drop_program(&mut self, call: CallId) {
        self.programs.retain(|program| program.spawned.call != call);
    }
}
