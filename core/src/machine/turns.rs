//! Turns: the requests about them, and the loop that lets a turn and the credential room talk.

use uuid::Uuid;

use super::Machine;
use crate::auth::{AfterUnauthorized, ProviderAuth, Source, Waiter};
use crate::model::errors::ModelError;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::thread::{self, Conversation, ThreadId};
use crate::turn::{Next, SendFacts, Turn};
use crate::wire::refusal::Refusal;
use crate::wire::v2::common::Empty;
use crate::wire::v2::turn::{TurnInterruptParams, TurnStartParams, TurnStartResponse};

impl Machine {
    /// `turn/start`: begins a turn, or joins the one that runs.
    pub(super) fn start_turn(&mut self, ticket: Ticket, params: TurnStartParams) {
        let found = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(found) => found,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let id = found.conversation.id;
        if let Some(Err(refusal)) = found.turn.as_ref().map(Turn::check_room) {
            return self.out.refuse(ticket, &refusal);
        }
        self.begin_or_join(id, params, Some(ticket));
    }

    /// Begins a turn with an input, or lets the input join the turn that runs. With a ticket the
    /// reply names the turn, before anything else is said of it (protocol.md §1.5).
    pub(super) fn begin_or_join(
        &mut self,
        id: ThreadId,
        params: TurnStartParams,
        ticket: Option<Ticket>,
    ) {
        let Some(found) = self.threads.get_mut(&id) else { return };
        if found.turn.as_ref().is_some_and(Turn::is_ending) {
            // Its completion is about to be said; the next turn begins after that.
            return found.starts.push_back((ticket, params));
        }
        let conversation = &mut found.conversation;
        conversation.apply(&params, &self.catalogue);
        if let Some(turn) = &mut found.turn {
            if let Some(ticket) = ticket {
                self.out.reply(ticket, TurnStartResponse { turn: turn.in_progress() });
            }
            return turn.steer(&mut self.out, conversation, params.input);
        }
        let turn_id = self.out.rng.uuid_v7(self.out.now);
        if let Some(ticket) = ticket {
            self.out.reply(ticket, TurnStartResponse { turn: Turn::view_of(turn_id) });
        }
        found.note_input(&params.input, self.out.now.wall);
        let (out, conversation) = (&mut self.out, &mut found.conversation);
        let (turn, next) =
            Turn::begin(out, conversation, turn_id, params.input, params.output_schema);
        found.turn = Some(turn);
        self.drive(id, next);
    }

    /// `turn/interrupt`: answered at once, also when nothing runs (protocol.md §9 G7).
    pub(super) fn interrupt(&mut self, ticket: Ticket, params: TurnInterruptParams) {
        let found = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(found) => found,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let thread = found.conversation.id;
        let running = found.turn.as_ref().map(|turn| turn.id().to_owned());
        if let Some(running) = running
            && !params.turn_id.is_empty()
            && params.turn_id != running
        {
            // It may be an earlier turn's: the one that runs now is not what was meant.
            let named = Uuid::try_parse(&params.turn_id).map(|id| id.to_string());
            if named.as_ref() != Ok(&running) {
                let text =
                    format!("turn not found: {} (the running turn is {running})", params.turn_id);
                return self.out.refuse(ticket, &Refusal::invalid(text));
            }
        }
        self.out.reply(ticket, Empty {});
        self.interrupt_turn(thread);
    }

    /// Ends the thread's turn, if one runs.
    pub(super) fn interrupt_turn(&mut self, thread: ThreadId) {
        self.with_turn(thread, |turn, out, conversation| turn.interrupt(out, conversation));
    }

    /// Lets the thread's turn, if one runs, take something in; then does what it wants next.
    pub(super) fn with_turn(
        &mut self,
        thread: ThreadId,
        step: impl FnOnce(&mut Turn, &mut Outside, &mut Conversation) -> Next,
    ) {
        let Some(found) = self.threads.get_mut(&thread) else { return };
        let Some(turn) = &mut found.turn else { return };
        let next = step(turn, &mut self.out, &mut found.conversation);
        self.drive(thread, next);
    }

    /// Does what a turn wants, until it waits for the outside or is over.
    fn drive(&mut self, thread: ThreadId, mut next: Next) {
        loop {
            let Some(found) = self.threads.get_mut(&thread) else { return };
            let Some(turn) = &mut found.turn else { return };
            let (out, conversation) = (&mut self.out, &mut found.conversation);
            next = match next {
                Next::Wait => return,
                Next::Over => {
                    found.turn = None;
                    self.auth.stop_waiting(Waiter::Turn(thread.0));
                    let starts = std::mem::take(&mut found.starts);
                    for (ticket, params) in starts {
                        self.begin_or_join(thread, params, ticket);
                    }
                    return;
                }
                Next::Freshen => {
                    if self.auth.freshen(out, Waiter::Turn(thread.0)) {
                        return;
                    }
                    Next::Send
                }
                Next::Send => {
                    let provider = ProviderAuth::of(conversation.provider());
                    match self.auth.for_call(provider, &self.setup.env) {
                        Err(text) => turn.fail(out, conversation, ModelError::no_credential(text)),
                        Ok(credential) => {
                            let facts = SendFacts {
                                originator: self.session.originator(),
                                user_agent: self.session.user_agent(),
                                env: &self.setup.env,
                                login: self.auth.login_kind(),
                            };
                            turn.send(out, conversation, credential, facts)
                        }
                    }
                }
                Next::Unauthorized(source) => {
                    let verdict = match source {
                        Source::Provider | Source::Nobody => AfterUnauthorized::Fail(None),
                        Source::Account(used) => {
                            self.auth.unauthorized(out, used, Waiter::Turn(thread.0))
                        }
                    };
                    match verdict {
                        AfterUnauthorized::Retry => Next::Send,
                        AfterUnauthorized::Wait => {
                            turn.await_tokens();
                            Next::Wait
                        }
                        AfterUnauthorized::Fail(cause) => {
                            turn.fail_unauthorized(out, conversation, cause)
                        }
                    }
                }
            };
        }
    }
}
