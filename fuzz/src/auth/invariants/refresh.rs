//! Refreshes: when tokens are renewed, by whom, and what becomes of turns that wait.

use super::{ensure, mismatch, replies};
use crate::auth::model::ANYWAY;
use crate::auth::said::Line;
use crate::auth::scene::Scene;
use crate::auth::seen::{Ending, Seen};
use crate::auth::setting::Keeping;
use crate::auth::tokens::{EXTERNAL_MARK, Kind};
use crate::world::fact::Purpose;

/// I5: one refresh at a time, whoever waits for it; and it is begun when one is needed.
pub(super) fn i05_one_refresh_at_a_time(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::Asked { is_second: true, .. } => {
                return Err("a second question while one is open".to_owned());
            }
            Seen::Asked { is_due: false, .. } => {
                return Err("a question that nothing called for".to_owned());
            }
            Seen::Asked { login, previous, .. } => {
                ensure(*previous == login.account, || {
                    format!("asked about {previous:?}, not {:?}", login.account)
                })?;
            }
            Seen::Renewing { is_first: false, is_due: false, .. } => {
                return Err("a second refresh while one is under way".to_owned());
            }
            Seen::NotAsked => return Err("the host was not asked for tokens".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// I6: an answer is used only if the login that it was asked for is still in force.
pub(super) fn i06_late_tokens_are_never_used(scene: &Scene) -> Result<(), String> {
    let is_dead = |token: &str| !token.is_empty() && scene.model.dead_tokens.contains(token);
    for seen in &scene.seen {
        if let Seen::Sent { sent, .. } = seen {
            let bearer = sent.bearer.as_deref().unwrap_or_default();
            ensure(!is_dead(bearer), || format!("{bearer} came too late and is used"))?;
        }
    }
    for (expected, got) in replies(scene) {
        if let (Line::Status { .. }, Ok(status)) = (&expected.line, got) {
            let token = status["authToken"].as_str().unwrap_or_default();
            ensure(!is_dead(token), || format!("{token} came too late and is in force"))?;
        }
    }
    Ok(())
}

/// I7: a refresh never turns a login of another kind into the host's.
pub(super) fn i07_a_refresh_keeps_the_mode(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Sent { sent, login, .. } = seen
            && login.kind != Kind::External
        {
            let is_hosts = sent.bearer.as_ref().is_some_and(|b| b.contains(EXTERNAL_MARK));
            ensure(!is_hosts, || format!("in the mode {:?}: {:?}", login.kind, sent.bearer))?;
        }
    }
    Ok(())
}

/// I7: a refresh writes tokens into no record of another account or kind, nor where there is none.
/// Looked at in the stores themselves.
pub(super) fn i07_a_refresh_writes_into_its_own_record(scene: &Scene) -> Result<(), String> {
    let has_renewed = scene.seen.iter().any(|seen| matches!(seen, Seen::Renewed));
    if !has_renewed || scene.setting.keeping == Keeping::Auto {
        return Ok(());
    }
    let (before, after) = (&scene.owners_before, scene.owners());
    ensure(*before == after, || format!("a refresh has turned {before:?} into {after:?}"))
}

/// I22: the server that issues tokens is not talked to while the host's are in force.
pub(super) fn i22_the_token_authority_is_left_alone(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Authority { sent, login, .. } = seen {
            ensure(login.kind != Kind::External, || format!("a request to {}", sent.url))?;
        }
    }
    Ok(())
}

/// I23: the host is asked for tokens only while its tokens are in force.
pub(super) fn i23_only_external_mode_asks_the_host(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Asked { login, .. } = seen {
            ensure(login.kind == Kind::External, || format!("asked while {:?}", login.kind))?;
        }
    }
    Ok(())
}

/// I24: reads send nothing, also with `refreshToken: true`.
pub(super) fn i24_reading_sends_nothing(scene: &Scene) -> Result<(), String> {
    let acted = scene.seen.iter().any(|seen| matches!(seen, Seen::ReadActed));
    ensure(!acted, || "something went out because of a read".to_owned())
}

/// I25: a question is over when its time is, and not before.
pub(super) fn i25_a_refresh_takes_its_time_and_no_more(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::NoLimit => return Err("a question has no time limit".to_owned()),
            Seen::TooEarly => return Err("a question expired too early".to_owned()),
            Seen::WrongLimit(limit) => return Err(format!("a question has {limit:?}")),
            _ => {}
        }
    }
    ensure(!scene.model.is_overdue(), || "a question is open beyond its time".to_owned())
}

/// I27: a refresh that fails changes no login and no file, and sends nothing.
pub(super) fn i27_a_failed_refresh_changes_nothing(scene: &Scene) -> Result<(), String> {
    // A wait may bring more than one thing.
    let failed = scene.seen.iter().position(|seen| matches!(seen, Seen::RefreshFailed));
    let Some(at) = failed else { return Ok(()) };
    for seen in &scene.seen[at..] {
        ensure(!matches!(seen, Seen::Announced { .. } | Seen::Stored), || {
            format!("after a failed refresh: {seen:?}")
        })?;
    }
    Ok(())
}

/// I29: a turn does not send a token again that was refused to it.
pub(super) fn i29_no_token_is_refused_twice(scene: &Scene) -> Result<(), String> {
    let repeats = scene.seen.iter().any(|seen| matches!(seen, Seen::Refused { repeats: true, .. }));
    ensure(!repeats, || "a token was sent again after it had been refused".to_owned())
}

/// I30: nothing is refreshed while an API key is in force.
pub(super) fn i30_api_keys_are_never_refreshed(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Asked { login, .. } | Seen::Renewing { login, .. } = seen {
            ensure(login.kind != Kind::Key, || "asked while an API key is in force".to_owned())?;
        }
    }
    Ok(())
}

/// I31: without new tokens the waiting turns fail at once, for that reason, as `unauthorized`.
pub(super) fn i31_a_failed_refresh_fails_the_turn(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::NotEnded(Ending::Unauthorized(Some(words))) => {
                return Err(format!("a turn still runs after: {words}"));
            }
            Seen::TurnOver { expected: Some(Ending::Unauthorized(Some(words))), turn, .. } => {
                check_unauthorized(turn, words)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// I32: a 401 that is final fails the turn as `unauthorized`, with the backend's words.
pub(super) fn i32_a_final_401_is_unauthorized(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::NotEnded(Ending::Unauthorized(None)) => {
                return Err("a turn still runs after its final 401".to_owned());
            }
            Seen::TurnOver { expected: Some(Ending::Unauthorized(None)), turn, .. } => {
                check_unauthorized(turn, "scripted refusal 401")?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_unauthorized(turn: &serde_json::Value, words: &str) -> Result<(), String> {
    let message = turn["error"]["message"].as_str().unwrap_or_default();
    let is_right = turn["status"] == "failed"
        && turn["error"]["codexErrorInfo"] == "unauthorized"
        && message.contains(words);
    ensure(is_right, || format!("not unauthorized because of `{words}`: {turn}"))
}

/// I33: a turn that wants tokens in place of old ones goes on with the old ones when there are no
/// new ones.
pub(super) fn i33_old_tokens_fail_nobody(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::NotSent(why) if *why == ANYWAY => return Err(format!("not sent, though {why}")),
            Seen::TurnOver { expected: None, free: false, turn } => {
                ensure(turn["error"]["codexErrorInfo"] != "unauthorized", || {
                    format!("a turn that only wanted fresher tokens has failed: {turn}")
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// I34: tokens are renewed when they were refused, when somebody asks for it, or when they are old;
/// only those of the server's own.
pub(super) fn i34_tokens_are_renewed_when_they_are_old(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Renewing { is_due, login, .. } = seen {
            ensure(login.kind == Kind::Managed, || format!("renewed while {:?}", login.kind))?;
            ensure(*is_due, || "a refresh that nothing called for".to_owned())?;
        }
    }
    Ok(())
}

/// I35: a refresh token that was refused for good is not sent again.
pub(super) fn i35_a_dead_refresh_token_stays_unused(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::SpentAgain(token) = seen {
            return Err(format!("{token} was refused for good, and is sent again"));
        }
    }
    Ok(())
}

/// I36: whatever is sent carries the login in force, at once when a turn was waiting for it.
pub(super) fn i36_retries_carry_the_login_in_force(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::Sent { sent, expected: (bearer, _), is_due, why, .. } => {
                ensure(*is_due, || format!("a request that nothing called for: {sent:?}"))?;
                ensure(sent.bearer == *bearer, || {
                    format!("{:?} was sent, not {bearer:?} ({why})", sent.bearer)
                })?;
            }
            Seen::NotSent(why) => return Err(format!("no request, though {why}")),
            _ => {}
        }
    }
    Ok(())
}

/// I37: tokens that arrive after every waiting turn was interrupted are kept all the same.
pub(super) fn i37_tokens_survive_an_interrupt(scene: &Scene) -> Result<(), String> {
    if !scene.model.is_unattended {
        return Ok(());
    }
    for (expected, got) in replies(scene) {
        let is_status = matches!(expected.line, Line::Status { .. });
        ensure(!is_status || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I45: when the store holds another account's record, or none, nothing is asked of the authority, and
/// the other account's tokens are not taken over.
pub(super) fn i45_no_refresh_for_another_account(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Authority { sent, is_due, .. } = seen
            && sent.purpose == Purpose::Refresh
        {
            ensure(*is_due, || "a refresh was asked for that must not be".to_owned())?;
        }
        if let Seen::Sent { sent, expected: (bearer, _), .. } = seen
            && sent.bearer != *bearer
        {
            let is_others = sent.bearer.as_ref().is_some_and(|b| scene.others_tokens.contains(b));
            ensure(!is_others, || format!("another account's {:?} is used", sent.bearer))?;
        }
    }
    for (expected, got) in replies(scene) {
        if let (Line::Status { .. }, Ok(status)) = (&expected.line, got)
            && !expected.verdict.fits(&Ok(status.clone()))
        {
            let token = status["authToken"].as_str().unwrap_or_default();
            let is_others = scene.others_tokens.contains(token);
            ensure(!is_others, || format!("another account's {token} is in force"))?;
        }
    }
    Ok(())
}
