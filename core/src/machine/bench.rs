//! A machine for tests of requests: files in memory, everything else by hand.

use std::time::Duration;

use serde_json::{Value, json};

use crate::effect::{Call, CallId, Effect};
use crate::files::{Disk, MemoryFiles, NoKeyring};
use crate::{Input, Machine, Now, Outcome, Setup};

/// A machine that has been greeted, with the calls that are no file jobs.
pub(super) struct Bench {
    pub(super) files: MemoryFiles,
    pub(super) calls: Vec<(CallId, Call)>,
    pub(super) cancelled: Vec<CallId>,
    machine: Machine,
    said: Vec<Value>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(MemoryFiles::new())
    }

    pub(super) fn with(files: MemoryFiles) -> Self {
        let machine = Machine::new(Setup::new("/h", "/w"), [7; 32], now());
        let (calls, cancelled, said) = Default::default();
        let mut bench = Self { files, calls, cancelled, machine, said };
        bench.settle();
        let client = json!({"clientInfo": {"name": "t", "version": "1"}});
        bench.ask(0, "initialize", client);
        bench.said.clear();
        bench
    }

    pub(super) fn ask(&mut self, id: u64, method: &str, params: Value) {
        self.line(&json!({"id": id, "method": method, "params": params}));
    }

    pub(super) fn line(&mut self, line: &Value) {
        self.input(Input::Bytes(format!("{line}\n").as_bytes()));
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        self.machine.handle(now(), input);
        self.settle();
    }

    /// What was said since the last time.
    pub(super) fn answered(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.said)
    }

    fn settle(&mut self) {
        let mut done = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Start(id, call) => match *call {
                    Call::Files(job) => {
                        let disk = Disk { files: &self.files, keyring: &NoKeyring };
                        done.push((id, job.run(disk)));
                    }
                    other => self.calls.push((id, other)),
                },
                Effect::Cancel(id) => self.cancelled.push(id),
                Effect::Send => {
                    let bytes = self.machine.pending_output().to_vec();
                    self.machine.wrote(bytes.len());
                    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
                    self.said.extend(lines.map(|l| serde_json::from_slice(l).expect("JSON")));
                }
                _ => {}
            }
        }
        for (id, answer) in done {
            self.input(Input::Done(id, Outcome::Files(Box::new(answer))));
        }
    }
}

fn now() -> Now {
    Now::new(Duration::ZERO, jiff::Timestamp::UNIX_EPOCH)
}
