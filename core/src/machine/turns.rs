//! Turns: the requests about them, and the loop that lets a turn and the credential room talk.

use uuid::Uuid;

use super::{Machine, Stage};
use crate::auth::{AfterUnauthorized, ProviderAuth, Source, Waiter};
use crate::effect::CallId;
use crate::input::Outcome;
use crate::model::errors::ModelError;
use crate::model::review::ReviewOrder;
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::thread::open::{OpenDialect, OpenKind, Opening, Source as OpenSource, Wishes};
use crate::thread::{self, Conversation, Start, ThreadId};
use crate::turn::{Next, SendFacts, ToolInput, Turn};
use crate::wire::refusal::Refusal;
use crate::wire::v2::common::Empty;
use crate::wire::v2::review::{ReviewDelivery, ReviewStartParams, ReviewStartResponse};
use crate::wire::v2::turn::{TurnInterruptParams, TurnStartParams, TurnStartResponse};

impl Machine {
    /// `turn/start`: begins a turn, or joins the one that runs.
    pub(super) fn start_turn(&mut self, ticket: Ticket, params: TurnStartParams) {
        let found = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(found) => found,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let id = found.conversation.id;
        if let Err(refusal) = found.check_room() {
            return self.out.refuse(ticket, &refusal);
        }
        self.begin(id, Start::Input(Some(ticket), Box::new(params)));
    }

    /// `review/start`: in the thread itself, or in a copy of it.
    pub(super) fn start_review(&mut self, ticket: Ticket, params: ReviewStartParams) {
        let found = match thread::find(&mut self.threads, &params.thread_id) {
            Ok(found) => found,
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        let id = found.conversation.id;
        let is_stored = found.path().is_some();
        let order = found.check_room().and_then(|()| ReviewOrder::new(params.target));
        let order = match order {
            Ok(order) => Box::new(order),
            Err(refusal) => return self.out.refuse(ticket, &refusal),
        };
        match params.delivery.unwrap_or_default() {
            ReviewDelivery::Inline => self.begin(id, Start::Review(ticket, order)),
            ReviewDelivery::Detached if is_stored => self.review_copy(ticket, id, order),
            ReviewDelivery::Detached => {
                let text = format!("no rollout found for thread id {}", id.0);
                self.out.refuse(ticket, &Refusal::invalid(text));
            }
        }
    }

    fn review_copy(&mut self, ticket: Ticket, id: ThreadId, order: Box<ReviewOrder>) {
        let Some(found) = self.threads.get(&id) else { return };
        let cwd = found.conversation.settings.cwd.to_string_lossy().into_owned();
        let dialect = OpenDialect::V2 { raw: false };
        let copy = Opening::new(ticket, OpenKind::Fork, dialect, OpenSource::Id(id));
        let opening = Opening { review: Some(order), ..copy };
        self.open(opening, Wishes { cwd: Some(cwd), ..Wishes::default() });
    }

    /// Begins what was asked for, behind what waits already.
    pub(super) fn begin(&mut self, id: ThreadId, start: Start) {
        let Some(found) = self.threads.get_mut(&id) else { return };
        found.starts.push_back(start);
        self.begin_waiting(id);
    }

    /// Begins what waits, as far as the thread is ready for it.
    pub(super) fn begin_waiting(&mut self, id: ThreadId) {
        loop {
            let Some(found) = self.threads.get_mut(&id) else { return };
            if found.turn.as_ref().is_some_and(Turn::is_ending) {
                // Its completion is about to be said; what waits begins after that.
                return;
            }
            if self.stage == Stage::Closing {
                return self.refuse_starts(id);
            }
            if found.conversation.is_shelved() && !found.starts.is_empty() {
                return self.wake_thread(id);
            }
            match found.starts.pop_front() {
                None => return,
                Some(Start::RollBack(ticket, turns)) => self.roll_back(id, ticket, turns),
                Some(Start::Input(ticket, params)) => self.begin_or_join(id, *params, ticket),
                Some(review @ Start::Review(..)) if found.turn.is_some() => {
                    // It takes the turn's place, and begins when that is over.
                    found.starts.push_front(review);
                    return self
                        .with_turn(id, |turn, out, conversation| turn.replace(out, conversation));
                }
                Some(Start::Review(ticket, order)) => self.begin_review(id, ticket, *order),
            }
        }
    }

    fn begin_review(&mut self, id: ThreadId, ticket: Ticket, order: ReviewOrder) {
        let Some(found) = self.threads.get_mut(&id) else { return };
        let turn_id = self.out.rng.uuid_v7(self.out.now);
        let response = ReviewStartResponse {
            turn: Turn::view_of_review(turn_id, &order),
            review_thread_id: id.0.to_string(),
        };
        self.out.reply(ticket, response);
        found.note_said(&order.prompt(), self.out.now.wall);
        let conversation = &mut found.conversation;
        let settings = &conversation.settings.model;
        let model = conversation.config.model.review_slug.as_ref().unwrap_or(settings);
        let reviewer = self.catalogue.find(model);
        let (turn, next) =
            Turn::begin_review(&mut self.out, conversation, turn_id, order, reviewer);
        found.turn = Some(turn);
        self.drive(id, next);
    }

    /// Begins a turn with an input, or lets the input join the turn that runs. With a ticket the
    /// reply names the turn, before anything else is said of it (protocol.md §1.5).
    fn begin_or_join(&mut self, id: ThreadId, params: TurnStartParams, ticket: Option<Ticket>) {
        let Some(found) = self.threads.get_mut(&id) else { return };
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

    /// A program of the model's says something, or has ended.
    pub(super) fn on_program(&mut self, thread: ThreadId, call: CallId, outcome: Outcome<'_>) {
        let Some(found) = self.threads.get_mut(&thread) else { return };
        let sessions = &mut found.conversation.sessions;
        match (sessions.has(call), &found.turn) {
            (true, None) => sessions.on_outcome(call, &outcome),
            (true, Some(_)) => self.with_turn(thread, |turn, out, conversation| {
                turn.on_session(out, conversation, call, &outcome)
            }),
            (false, _) => self.with_turn(thread, |turn, out, conversation| {
                turn.on_tool_input(out, conversation, ToolInput::Outcome(call, outcome))
            }),
        }
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
                    self.touch(thread);
                    return self.begin_waiting(thread);
                }
                Next::Freshen => {
                    if self.auth.freshen(out, Waiter::Turn(thread.0), turn.scope()) {
                        return;
                    }
                    Next::Send
                }
                Next::Send => {
                    let provider = ProviderAuth::of(conversation.provider());
                    match self.auth.for_call(out, provider, &self.setup.env) {
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
                            self.auth.unauthorized(out, used, Waiter::Turn(thread.0), turn.scope())
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
