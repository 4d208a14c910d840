//! Logins: which are accepted, how they end, and what the host is told of them.

use super::{ensure, mismatch, replies};
use crate::auth::model::{Notice, Stage};
use crate::auth::said::Line;
use crate::auth::scene::Scene;
use crate::auth::seen::{Completed, Expected, Seen, Verdict};
use crate::auth::setting::{Forced, PROVIDER_KEY, WORKSPACE};
use crate::auth::tokens::{MANAGED_MARK, MARKS};

fn completions(scene: &Scene) -> impl Iterator<Item = (&Option<Notice>, &Completed)> {
    scene.seen.iter().filter_map(|seen| match seen {
        Seen::Announced { expected, got } => Some((expected, got.completion.as_ref()?)),
        _ => None,
    })
}

/// I8: a login that was accepted is completed once. That it is completed at all is looked at when
/// everything has come to rest.
pub(super) fn i08_a_login_is_completed_once(scene: &Scene) -> Result<(), String> {
    for (_, completed) in completions(scene) {
        let Some(id) = &completed.id else { continue };
        let count = scene.model.accepted.get(id).copied().unwrap_or_default();
        ensure(count == 1, || format!("{count} completions of login {id}"))?;
    }
    for (id, count) in &scene.model.accepted {
        let open = scene.model.attempt.as_ref().and_then(|attempt| attempt.id.as_ref());
        let is_over = scene.model.stage < Stage::Closing && open != Some(id);
        let is_held_up = scene.model.held_up() > 0;
        ensure(!is_over || is_held_up || *count == 1, || {
            format!("login {id} is over, and has {count} completions")
        })?;
    }
    Ok(())
}

/// I9: a login that was cancelled, or ended otherwise without success, is never said to have
/// worked, and nothing of it is in a store or in force.
pub(super) fn i09_nothing_is_left_of_a_cancelled_login(scene: &Scene) -> Result<(), String> {
    for (expected, completed) in completions(scene) {
        let has_failed = expected.as_ref().and_then(|notice| notice.completion.as_ref());
        let has_failed = has_failed.is_some_and(|completion| completion.words.is_some());
        ensure(!has_failed || !completed.is_success, || {
            format!("a login that has ended is said to have worked: {completed:?}")
        })?;
    }
    let orphans = &scene.model.orphans;
    let was_stored = scene.seen.iter().any(|seen| matches!(seen, Seen::Stored));
    ensure(orphans.is_empty() || !was_stored, || {
        "the store is written, and perhaps with what is left of an ended login".to_owned()
    })?;
    if !orphans.is_empty() && scene.has_touched_files {
        for text in [scene.auth_file(), scene.keyring_entry()].into_iter().flatten() {
            let found = orphans.iter().find(|token| text.contains(token.as_str()));
            ensure(found.is_none(), || format!("{found:?} of an ended login is stored"))?;
        }
    }
    for seen in &scene.seen {
        if let Seen::Sent { sent, .. } = seen {
            let bearer = sent.bearer.clone().unwrap_or_default();
            ensure(!orphans.contains(&bearer), || format!("{bearer} of an ended login is used"))?;
        }
    }
    Ok(())
}

/// I10: a login that another one, a logout or the end took the place of is said to have failed, for
/// that reason and in its own dialect.
pub(super) fn i10_the_older_login_is_said_to_have_failed(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        let Seen::Announced { expected: Some(notice), got } = seen else { continue };
        let Some(completion) = &notice.completion else { continue };
        ensure(completion.words.is_none() || got.fits(notice), || {
            format!("{got:?}, not {notice:?}")
        })?;
    }
    let missing = scene.seen.iter().find_map(|seen| match seen {
        Seen::NotAnnounced(notice) => notice.completion.as_ref().filter(|c| c.words.is_some()),
        _ => None,
    });
    ensure(missing.is_none(), || format!("no completion: {missing:?}"))
}

/// I11: one login at a time, with one listener; what is over cannot be found any more.
pub(super) fn i11_one_login_at_a_time(scene: &Scene) -> Result<(), String> {
    let listeners = scene.world.listeners();
    let attempts = usize::from(scene.model.attempt.is_some());
    let is_over = scene.world.exit().is_some();
    ensure(is_over || listeners <= attempts, || format!("{listeners} listeners"))?;
    for (expected, got) in replies(scene) {
        let is_cancel = matches!(expected.line, Line::CancelLogin { .. });
        ensure(!is_cancel || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I12: the reply to a login comes before its completion.
pub(super) fn i12_login_replies_come_first(scene: &Scene) -> Result<(), String> {
    let mut replied = 0;
    for seen in &scene.seen {
        match seen {
            Seen::Reply { expected: Some(expected), got: Ok(_) }
                if matches!(expected.line, Line::LoginKey { .. } | Line::LoginTokens(_)) =>
            {
                replied += 1;
            }
            Seen::Announced { got, .. } => {
                let Some(completed) = &got.completion else { continue };
                match &completed.id {
                    // The reply names it: what is not named yet cannot be completed.
                    Some(id) => ensure(scene.model.accepted.contains_key(id), || {
                        format!("{id} is completed, and no reply has named it")
                    })?,
                    None => {
                        ensure(replied > 0, || "login/completed before its reply".to_owned())?;
                        replied -= 1;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// I13: completion, then announcement, each once, with the right mode and nothing else.
pub(super) fn i13_login_is_completed_then_announced(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Announced { expected, got } = seen {
            let is_right = expected.as_ref().is_some_and(|notice| got.fits(notice));
            ensure(is_right, || format!("announced {got:?}, not {expected:?}"))?;
        }
    }
    Ok(())
}

/// I14: the host is told of every change that it can see.
pub(super) fn i14_every_change_is_announced(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::NotAnnounced(notice) = seen {
            return Err(format!("{notice:?} did not come"));
        }
    }
    let has_settled = scene.model.held_up() == 0 && scene.model.stage == Stage::Ready;
    let (told, is) = (scene.model.announced, scene.model.login.kind.wire());
    ensure(!has_settled || told == is, || format!("told {told:?}, is {is:?}"))
}

/// I15: `getAuthStatus` names the mode that was announced last.
pub(super) fn i15_status_agrees_with_the_announcement(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        if let (Line::Status { .. }, Ok(status)) = (&expected.line, got)
            && scene.setting.requires_auth()
            && !expected.login.token.is_empty()
        {
            ensure(status["authMethod"].as_str() == expected.announced, || {
                format!("{} after {:?} was announced", status["authMethod"], expected.announced)
            })?;
        }
    }
    Ok(())
}

pub(super) fn is_login(line: &Line) -> bool {
    is_own(line) || matches!(line, Line::LoginTokens(_))
}

/// A login that is not the host's own affair.
fn is_own(line: &Line) -> bool {
    matches!(line, Line::LoginKey { .. } | Line::LoginChatGpt { .. } | Line::LoginDevice)
}

/// I17: E1 if and only if the host's tokens are in force, before E2 and E3; nothing else blocks.
pub(super) fn i17_blocked_logins_are_blocked(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        ensure(!is_own(&expected.line) || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I18: the host's tokens are taken in every mode unless an API key is forced, or they are bad.
pub(super) fn i18_tokens_are_blocked_only_by_force(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        if matches!(expected.line, Line::LoginTokens(_)) && !is_about_workspace(expected) {
            ensure(expected.verdict.fits(got), || mismatch(expected, got))?;
        }
    }
    Ok(())
}

fn is_about_workspace(expected: &Expected) -> bool {
    matches!(&expected.verdict, Verdict::Refused(_, text) if text.contains("workspace"))
}

/// I19: no login of the host's is for another workspace than the forced one.
pub(super) fn i19_the_forced_workspace_holds(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        if is_about_workspace(expected) {
            ensure(expected.verdict.fits(got), || mismatch(expected, got))?;
        }
    }
    for seen in &scene.seen {
        if let Seen::Sent { sent, .. } = seen
            && scene.setting.forced_workspace
            && let Some(account) = &sent.account
        {
            ensure(account == WORKSPACE, || format!("a request for workspace {account}"))?;
        }
    }
    Ok(())
}

/// I21: no credential of a kind that is not allowed is used, also not one that was stored.
pub(super) fn i21_the_forced_method_holds(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        let Seen::Sent { sent, .. } = seen else { continue };
        let Some(bearer) = sent.bearer.as_ref().filter(|b| *b != PROVIDER_KEY) else { continue };
        let is_key = bearer.starts_with("skey");
        let is_allowed = match scene.setting.forced_method {
            None => true,
            Some(Forced::Api) => is_key || bearer.is_empty(),
            Some(Forced::ChatGpt) => !is_key,
        };
        ensure(is_allowed, || format!("{bearer} is used"))?;
    }
    Ok(())
}

/// I20: no login of the server's own is used for another workspace than the forced one, however it
/// came: stored at the start, from a browser, by a refresh, or from another process.
pub(super) fn i20_the_forced_workspace_holds_for_managed_logins(
    scene: &Scene,
) -> Result<(), String> {
    let is_forced = scene.setting.forced_workspace;
    for seen in &scene.seen {
        if let Seen::Sent { sent, .. } = seen
            && is_forced
            && sent.bearer.as_ref().is_some_and(|bearer| bearer.contains(MANAGED_MARK))
        {
            let account = sent.account.as_deref();
            ensure(account == Some(WORKSPACE), || format!("{:?} for {account:?}", sent.bearer))?;
        }
    }
    Ok(())
}

/// I44: a browser that does not know the login's state gets a page that says so, and nothing else
/// happens. Every browser gets the page that is meant for it, without anything secret in it.
pub(super) fn i44_a_wrong_state_has_no_effect(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::Noise { strange_visit: true, outputs, .. } => {
                return Err(format!("{outputs} effects of a visit without the state"));
            }
            Seen::Page { expected, status, body } => {
                ensure(*expected == Some(*status), || {
                    format!("a page with {status}, not {expected:?}")
                })?;
                let mark = MARKS.iter().find(|mark| body.contains(**mark));
                ensure(mark.is_none(), || "a page holds a token".to_owned())?;
            }
            _ => {}
        }
    }
    Ok(())
}
