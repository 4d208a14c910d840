//! What holds whoever is signed in: replies, the order of turns and items, bounds, answers to nobody.

use super::login::is_login;
use super::{ensure, mismatch, replies};
use crate::auth::model::login::Attempt;
use crate::auth::model::managed::Step;
use crate::auth::model::{Phase, Stage, Turn};
use crate::auth::scene::Scene;
use crate::auth::seen::{Ending, Seen};
use crate::world::fact::{Heard, Purpose};
use understudy_core::ExitStatus;

/// Exactly one reply a request; a clean end leaves none out (design.md §4.1).
pub(super) fn d1_every_request_is_answered_once(scene: &Scene) -> Result<(), String> {
    if let Some(trouble) = scene.world.trouble.as_ref() {
        return Err(trouble.clone());
    }
    if let Some(text) = scene.grammar_trouble.as_ref().filter(|text| text.contains("reply to")) {
        return Err(text.clone());
    }
    for (expected, got) in replies(scene) {
        let is_other = !is_login(&expected.line) && !expected.line.is_read();
        ensure(!is_other || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    let unanswered = scene.grammar.unanswered();
    let has_ended_well = scene.world.exit() == Some(&ExitStatus::Clean);
    // A signal during start-up ends a session that has read nothing.
    ensure(!has_ended_well || unanswered.is_empty(), || {
        format!("the end leaves {unanswered:?} without a reply")
    })
}

/// Started once, completed once, items within, in order (design.md §4.2).
pub(super) fn d2_turns_and_items_keep_their_order(scene: &Scene) -> Result<(), String> {
    scene.grammar_trouble.clone().map_or(Ok(()), Err)
}

/// A host that does not want to hear of turns twice hears of them once (protocol.md §9 G5).
pub(super) fn d2_nobody_hears_what_is_not_wanted(scene: &Scene) -> Result<(), String> {
    if scene.setting.hears_twice {
        return Ok(());
    }
    for seen in &scene.seen {
        if let Seen::Heard(heard) = seen
            && let Heard::Notice { method, .. } = &**heard
        {
            ensure(!method.starts_with("codex/event/"), || format!("{method} was not wanted"))?;
        }
    }
    Ok(())
}

/// A turn that was interrupted, or has nothing to do, or cannot send, ends at once and in its way;
/// no other turn ends without a cause.
pub(super) fn d2_turns_end_when_they_must(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::NotEnded(
                ending @ (Ending::Interrupted | Ending::Completed | Ending::NoCredential(_)),
            ) => return Err(format!("a turn must have ended: {ending:?}")),
            Seen::TurnOver { expected: None, free, turn } => {
                ensure(*free, || format!("a turn ended without a cause: {turn}"))?;
            }
            Seen::TurnOver { expected: Some(ending), turn, .. } => {
                let status = match ending {
                    Ending::Interrupted => "interrupted",
                    Ending::Completed => "completed",
                    Ending::Unauthorized(_) | Ending::NoCredential(_) => "failed",
                };
                ensure(turn["status"] == status, || format!("not {status}: {turn}"))?;
                if let Ending::NoCredential(words) = ending {
                    let message = turn["error"]["message"].as_str().unwrap_or_default();
                    ensure(message.contains(words), || format!("not `{words}`: {turn}"))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Logins, refreshes and the store go on until they are over: what one input calls for goes out in
/// the same input.
pub(super) fn d3_what_must_happen_happens(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Unmet(text) = seen {
            return Err(format!("it did not happen that {text}"));
        }
    }
    Ok(())
}

/// A host that does not read makes the machine stop reading, and its output stays small
/// (design.md §4.5).
pub(super) fn d5_output_is_bounded(scene: &Scene) -> Result<(), String> {
    let over = scene.world.overflow;
    over.map_or(Ok(()), |[most, limit]| {
        Err(format!("{most} bytes wait for the host, more than {limit}"))
    })
}

/// Each running turn has one stream or one timer more than none; nothing else is left behind
/// (design.md §4.5).
pub(super) fn d5_no_work_outlives_its_owner(scene: &Scene) -> Result<(), String> {
    let (world, model) = (&scene.world, &scene.model);
    if world.exit().is_some() {
        return Ok(());
    }
    let is_streaming = |turn: &&Turn| matches!(turn.phase, Phase::Streaming { .. });
    let streaming = model.turns.iter().filter(is_streaming).count();
    let streams = world.http().iter().filter(|http| http.sent.purpose == Purpose::Turn).count();
    ensure(streams == streaming, || format!("{streams} streams of {streaming} turns"))?;
    let asking = model.refresh.as_ref().is_some_and(|refresh| refresh.since.is_some());
    let managed = model.refresh.as_ref().and_then(|refresh| refresh.managed.as_ref());
    let pausing = managed.is_some_and(|managed| matches!(managed.step, Step::Pausing(_)));
    let login = model.attempt.as_ref().map_or(0, Attempt::timers);
    let closing = model.stage == Stage::Closing;
    let most = model.turns.len()
        + usize::from(asking || closing)
        + usize::from(closing)
        + usize::from(pausing)
        + login;
    ensure(world.timers() <= most, || format!("{} timers, at most {most}", world.timers()))?;
    let is_logins = |purpose| {
        use Purpose::{Exchange, Key, Oust, Poll, UserCode};
        matches!(purpose, Exchange | Key | Oust | Poll | UserCode)
    };
    let calls = world.http().iter().filter(|http| is_logins(http.sent.purpose)).count();
    let logins = usize::from(model.attempt.as_ref().is_some_and(Attempt::has_call));
    ensure(calls == logins, || format!("{calls} requests of {logins} logins"))?;
    let (holds, renewals) = (world.holds().len(), usize::from(managed.is_some()));
    ensure(holds == renewals, || format!("{holds} locks for {renewals} refreshes"))
}

/// A request is sent again no more often than the provider's two settings allow together
/// (engine.md §2.4).
pub(super) fn e1_retries_are_bounded(scene: &Scene) -> Result<(), String> {
    let most = scene.setting.retries();
    for seen in &scene.seen {
        if let Seen::Retried(retries) = seen {
            ensure(*retries <= most, || format!("sent again {retries} times, not {most}"))?;
        }
    }
    Ok(())
}

/// I26: late, duplicate and unknown answers have no effect; neither have timers and responses
/// that were given up.
pub(super) fn i26_answers_to_nothing_do_nothing(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Noise { late_answer, strange_visit: false, outputs } = seen {
            return Err(format!("{outputs} effects of nothing (a late answer: {late_answer})"));
        }
    }
    Ok(())
}

/// I28: at most three requests in a row are refused to a turn.
pub(super) fn i28_few_requests_are_refused(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Refused { refused, .. } = seen {
            ensure(*refused <= 3, || format!("{refused} requests of a turn were refused"))?;
        }
    }
    Ok(())
}

/// A request of a refresh that must not be sent is a matter of I45.
pub(super) fn is_about_account(scene: &Scene) -> bool {
    scene.seen.iter().any(|seen| match seen {
        Seen::Authority { sent, .. } => sent.purpose == Purpose::Refresh,
        _ => false,
    })
}

/// I40: requests that wait for nothing are answered in the same input, whatever else is going on.
pub(super) fn i40_the_rest_is_answered_at_once(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Unanswered(method) = seen {
            return Err(format!("{method} was not answered at once"));
        }
    }
    Ok(())
}
