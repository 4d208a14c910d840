//! The machine: verbs and dispatch, no rules.

use std::collections::VecDeque;

use crate::clock::Now;
use crate::effect::Effect;
use crate::input::Input;
use crate::setup::Setup;

/// The whole server for one host. See the crate's documentation for the loop around it.
#[derive(Debug)]
pub struct Machine {
    effects: VecDeque<Effect>,
    output: Vec<u8>,
}

impl Machine {
    /// A machine that has read nothing yet. Its first effects load configuration and credentials.
    pub fn new(_setup: Setup, _seed: [u8; 32], _now: Now) -> Self {
        Self { effects: VecDeque::new(), output: Vec::new() }
    }

    /// Takes one input. Total: never fails, never panics on what a peer sent. Drain
    /// [`poll_effect`](Self::poll_effect) before the next input.
    pub fn handle(&mut self, _now: Now, _input: Input<'_>) {}

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Bytes for the host that were not written yet.
    pub fn pending_output(&self) -> &[u8] {
        &self.output
    }

    /// Says that the first `n` pending bytes were written. May queue effects.
    pub fn wrote(&mut self, n: usize) {
        self.output.drain(..n);
    }

    /// Whether more bytes from the host, and more partial answers to calls, may be handed in.
    pub fn wants_input(&self) -> bool {
        true
    }
}
