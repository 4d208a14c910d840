//! The login port and the lock between processes: both are asked for, and granted or not as the
//! script says. Browsers come when they are told to.

use std::rc::Rc;

use understudy_core::files::{FileError, FileErrorKind};
use understudy_core::{CallId, Feed, Input, ListenFailure, Outcome, PageAnswer, Visit, VisitId};

use super::World;
use super::fact::{Fact, Port};

/// A listener that was asked for and not given up.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its call.
    pub call: CallId,
    /// The port was granted.
    pub is_open: bool,
    /// Browsers that wait for a page.
    pub waiting: Vec<VisitId>,
}

/// A lock that was asked for and not given up.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    /// Its call.
    pub call: CallId,
    /// It was granted or refused.
    pub is_answered: bool,
}

impl World {
    /// The listener that was asked for last, if it is not given up.
    pub fn listener(&self) -> Option<&Listener> {
        self.listeners.last()
    }

    /// Listeners that are not given up.
    pub fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Locks that are not given up.
    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// What becomes of a listener.
    pub fn listen(&mut self, call: CallId, port: Port) {
        let Some(at) = self.listeners.iter().position(|listener| listener.call == call) else {
            return;
        };
        if self.exit.is_some() || (self.listeners[at].is_open && port == Port::Granted) {
            return;
        }
        let fail = |is_in_use| {
            let text = "scripted: no port".to_owned();
            Outcome::ListenFailed(ListenFailure { is_in_use, text })
        };
        let outcome = match port {
            Port::Granted => Outcome::Listening,
            Port::InUse => fail(true),
            Port::Refused => fail(false),
            Port::Lost => Outcome::Lost,
        };
        if port == Port::Granted {
            self.listeners[at].is_open = true;
        } else {
            self.listeners.remove(at);
        }
        self.facts.push(Fact::Listened(call, port));
        self.input(Input::Done(call, outcome));
    }

    /// A browser asks the open listener for something; the number is the one it was made with.
    pub fn visit(&mut self, number: usize, target: String) {
        let next = VisitId(self.visits);
        let Some(listener) = self.listeners.last_mut().filter(|listener| listener.is_open) else {
            return;
        };
        if self.exit.is_some() {
            return;
        }
        let call = listener.call;
        listener.waiting.push(next);
        self.visits += 1;
        self.facts.push(Fact::Visited(call, number));
        let visit = Visit { id: next, method: "GET".to_owned(), target };
        self.input(Input::Done(call, Outcome::Visit(visit)));
    }

    /// The lock is held, or cannot be had.
    pub fn hold(&mut self, call: CallId, is_held: bool) {
        let Some(hold) = self.holds.iter_mut().find(|hold| hold.call == call) else { return };
        if self.exit.is_some() || std::mem::replace(&mut hold.is_answered, true) {
            return;
        }
        self.facts.push(Fact::Held(call));
        let text = "scripted: no lock".to_owned();
        let error = FileError { kind: FileErrorKind::Other, text };
        self.input(Input::Done(call, Outcome::Held(if is_held { Ok(()) } else { Err(error) })));
    }

    pub(super) fn start_listener(&mut self, call: CallId) {
        self.note(call.0, b"listen");
        self.listeners.push(Listener { call, is_open: false, waiting: Vec::new() });
        self.facts.push(Fact::ListenAsked(call));
    }

    pub(super) fn start_hold(&mut self, call: CallId) {
        self.note(call.0, b"hold");
        self.holds.push(Hold { call, is_answered: false });
        self.facts.push(Fact::HoldAsked(call));
    }

    pub(super) fn feed(&mut self, call: CallId, feed: Feed) {
        let Feed::Answer(visit, page) = feed else { return };
        self.note(visit.0, page.body.as_bytes());
        let listener = self.listeners.iter_mut().find(|listener| listener.call == call);
        let place = listener.and_then(|listener| {
            let at = listener.waiting.iter().position(|waiting| *waiting == visit)?;
            Some(listener.waiting.remove(at))
        });
        if place.is_none() {
            self.trouble.get_or_insert(format!("a second page for {visit:?}, or for nobody"));
        }
        let PageAnswer { status, body, .. } = page;
        self.facts.push(Fact::Page(status, Rc::new(body)));
    }

    pub(super) fn drop_listener(&mut self, call: CallId) {
        self.listeners.retain(|listener| {
            let is_it = listener.call == call;
            if is_it && !listener.waiting.is_empty() {
                let text = format!("no page for {:?}, and the listener is gone", listener.waiting);
                self.trouble.get_or_insert(text);
            }
            !is_it
        });
        self.holds.retain(|hold| hold.call != call);
    }
}
