//! What may decide what the model says from now on, as text. Counters and the history are left out:
//! what is over, like the id of an ended login, can only come back in a step as something that the
//! machine does not know.

use std::fmt;
use std::time::Duration;

use super::{Busy, Model, Refreshing, Turn, Waiter, Who};
use crate::auth::state::Times;

/// The state of a model, shown by its `Debug`.
pub struct State<'a> {
    model: &'a Model,
    times: Times,
}

impl Model {
    /// What may decide what it says from now on.
    pub fn state(&self, times: Times) -> State<'_> {
        State { model: self, times }
    }
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, times } = self;
        let since = |then: Duration| times.show(model.now - then);
        let models = model.models_at.map(|then| times.show_age(model.now - then));
        let pause = model.not_before.map(|then| times.show(then.saturating_sub(model.now)));
        let dead = model.dead.as_ref().map(|(at, words)| (*at == model.generation, words));
        let busy = model.busy.as_ref().map(|busy| match busy {
            Busy::Request(queued) => Some(queued),
            Busy::Login => None,
        });
        let unfinished: Vec<_> = model.accepted.iter().filter(|(_, ends)| **ends != 1).collect();
        let turns: Vec<_> = model.turns.iter().map(|turn| TurnState(turn, model)).collect();
        let errands = model.errands.iter().map(|errand| errand.state(model.generation));
        let newest_ask = model.asks.last();
        f.debug_struct("Model")
            .field("stage", &(model.stage, &model.held, model.held_eof))
            .field("login", &(&model.login, model.is_unattended, model.announced))
            .field("store", &(busy, &model.after_logout, &model.queue, &model.store_trouble))
            .field("stores", &model.stores)
            .field("refresh", &model.refresh.as_ref().map(|r| refresh(r, r.since.map(since))))
            .field("dead", &(dead, pause))
            .field("attempt", &model.attempt)
            .field("logins", &unfinished)
            .field("errands", &errands.collect::<Vec<_>>())
            .field("usage", &model.usage_wanted)
            .field("models", &models)
            .field("turns", &turns)
            .field("threads", &model.threads)
            .field("newest_ask", &newest_ask)
            .field("is_at_rest", &(model.woken.is_empty(), model.pages.len(), &model.notices))
            .finish()
    }
}

fn refresh(refresh: &Refreshing, age: Option<String>) -> impl fmt::Debug + '_ {
    let waiters = refresh.waiters.iter().map(|Waiter { who, is_old }| match who {
        Who::Turn(thread, _) => ("turn", thread.clone(), *is_old),
        Who::Errand(_) => ("errand", String::new(), *is_old),
        Who::Request(_, line) => ("request", line.method().to_owned(), *is_old),
    });
    (refresh.ask, age, refresh.timer, &refresh.managed, waiters.collect::<Vec<_>>())
}

struct TurnState<'a>(&'a Turn, &'a Model);

impl fmt::Debug for TurnState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(turn, model) = self;
        let phase = match &turn.phase {
            super::Phase::Streaming { call, generation, bearer, status } => {
                (Some((call, *generation == model.generation, bearer, status)), None)
            }
            other => (None, Some(other)),
        };
        let told = (&turn.thread, &turn.id, phase, turn.refused, turn.has_waited);
        (told, &turn.bearers_refused, turn.retries).fmt(f)
    }
}
