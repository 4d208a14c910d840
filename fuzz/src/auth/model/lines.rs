//! What the reference model says of lines of the host, and of the end of its input.

use std::rc::Rc;

use super::login::Ended;
use super::{Model, Stage};
use crate::auth::said::{Line, SaidLine};
use crate::auth::seen::{Ending, Expected, Seen, Verdict};

impl Model {
    pub(super) fn on_said(&mut self, number: usize) {
        match self.stage {
            Stage::Loading => self.held.push(number),
            Stage::Fresh | Stage::Ready => {
                let SaidLine { id, line } = self.said[number].clone();
                self.serve(id, line);
                self.wake_all();
            }
            Stage::Closing | Stage::Gone => {}
        }
    }

    fn serve(&mut self, id: Option<String>, line: Line) {
        if let Some(id) = &id {
            self.seen.push(Seen::Asks(id.clone(), line.method().to_owned()));
        }
        self.input.is_loud |= !matches!(line, Line::Answer { .. });
        if line.is_read() {
            self.input.reads_asked += 1;
        } else {
            self.input.acts += 1;
        }
        if let Line::Junk(junk) = &line {
            return self.expect(id.as_deref().unwrap_or("null"), &line, junk.verdict());
        }
        if self.stage == Stage::Fresh {
            let verdict = match line {
                Line::Initialize { .. } => {
                    self.stage = Stage::Ready;
                    Verdict::AnyResult
                }
                Line::Answer { .. } => return,
                _ => Verdict::refused(-32600, "Not initialized"),
            };
            return self.expect_reply(id.as_ref(), &line, verdict);
        }
        match &line {
            Line::Initialize { .. } => {
                let verdict = Verdict::refused(-32600, "Already initialized");
                self.expect_reply(id.as_ref(), &line, verdict);
            }
            Line::Agent => self.expect_reply(id.as_ref(), &line, Verdict::AnyResult),
            Line::StartThread => self.mark("thread/start"),
            Line::StartTurn { thread, is_empty } => {
                let (thread, is_empty) = (thread.clone(), *is_empty);
                self.start_turn(id.as_ref(), &line, thread, is_empty);
            }
            Line::Interrupt { thread, turn } => {
                let (thread, turn) = (thread.clone(), turn.clone());
                self.interrupt(id.as_ref(), &line, &thread, turn.as_deref());
            }
            Line::Answer { ask, answer } => self.on_answer(*ask, answer),
            _ => self.account(id, line),
        }
    }

    pub(super) fn expect_reply(&mut self, id: Option<&String>, line: &Line, verdict: Verdict) {
        if let Some(id) = id {
            self.expect(id, line, verdict);
        }
    }

    pub(super) fn expect(&mut self, id: &str, line: &Line, verdict: Verdict) {
        let (line, login) = (line.clone(), Rc::clone(&self.login));
        let expected = Expected { line, verdict, login, announced: self.announced };
        self.expected.entry(id.to_owned()).or_default().push_back(expected);
    }

    pub(super) fn on_eof(&mut self) {
        self.input.is_loud = true;
        match self.stage {
            Stage::Loading => self.held_eof = true,
            Stage::Fresh | Stage::Ready => {
                self.stage = Stage::Closing;
                let threads: Vec<_> = self.turns.iter().map(|turn| turn.thread.clone()).collect();
                for thread in threads {
                    self.end_turn(&thread, Ending::Interrupted);
                }
                self.end_unsaved_login(Ended::Canceled);
                self.close_refresh();
                self.mark("end of input");
            }
            Stage::Closing | Stage::Gone => {}
        }
    }
}
