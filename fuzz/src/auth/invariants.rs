//! The invariants by name (auth.md §13.1, design.md §4), each a look at what the last step brought.

use understudy_core::ExitStatus;
use understudy_core::files::Access;

use super::model::login::Attempt;
use super::model::managed::Step;
use super::model::store::Record;
use super::model::{ANYWAY, Notice, Phase, Stage, Turn};
use super::said::Line;
use super::scene::Scene;
use super::seen::{Completed, Ending, Expected, Seen, Verdict};
use super::setting::{AUTH_FILE, Forced, Keeping, PROVIDER_KEY, WORKSPACE};
use super::tokens::{EXTERNAL_MARK, Kind, MANAGED_MARK, MARKS};
use crate::world::fact::Purpose;

/// A named check of what the last step brought.
pub type Check = fn(&Scene) -> Result<(), String>;

/// Every invariant. The first that fails gives a failure its name, so that causes stand before what
/// they lead to.
pub const INVARIANTS: &[(&str, Check)] = &[
    ("d1_every_request_is_answered_once", d1_every_request_is_answered_once),
    ("i44_a_wrong_state_has_no_effect", i44_a_wrong_state_has_no_effect),
    ("i45_no_refresh_for_another_account", i45_no_refresh_for_another_account),
    ("i35_a_dead_refresh_token_stays_unused", i35_a_dead_refresh_token_stays_unused),
    ("i33_old_tokens_fail_nobody", i33_old_tokens_fail_nobody),
    ("i07_a_refresh_writes_into_its_own_record", i07_a_refresh_writes_into_its_own_record),
    ("i09_nothing_is_left_of_a_cancelled_login", i09_nothing_is_left_of_a_cancelled_login),
    ("i10_the_older_login_is_said_to_have_failed", i10_the_older_login_is_said_to_have_failed),
    ("i08_a_login_is_completed_once", i08_a_login_is_completed_once),
    (
        "i20_the_forced_workspace_holds_for_managed_logins",
        i20_the_forced_workspace_holds_for_managed_logins,
    ),
    ("d2_turns_and_items_keep_their_order", d2_turns_and_items_keep_their_order),
    ("d2_turns_end_when_they_must", d2_turns_end_when_they_must),
    ("d3_what_must_happen_happens", d3_what_must_happen_happens),
    ("d5_output_is_bounded", d5_output_is_bounded),
    ("e1_retries_are_bounded", e1_retries_are_bounded),
    ("i16_the_store_is_written_when_asked", i16_the_store_is_written_when_asked),
    ("i17_blocked_logins_are_blocked", i17_blocked_logins_are_blocked),
    ("i18_tokens_are_blocked_only_by_force", i18_tokens_are_blocked_only_by_force),
    ("i19_the_forced_workspace_holds", i19_the_forced_workspace_holds),
    ("i01_external_tokens_are_never_stored", i01_external_tokens_are_never_stored),
    ("i02_account_is_the_tokens_own", i02_account_is_the_tokens_own),
    ("i03_after_logout_nothing_is_usable", i03_after_logout_nothing_is_usable),
    ("i04_a_failed_logout_clears_memory", i04_a_failed_logout_clears_memory),
    ("i05_one_refresh_at_a_time", i05_one_refresh_at_a_time),
    ("i06_late_tokens_are_never_used", i06_late_tokens_are_never_used),
    ("i07_a_refresh_keeps_the_mode", i07_a_refresh_keeps_the_mode),
    ("i11_one_login_at_a_time", i11_one_login_at_a_time),
    ("i12_login_replies_come_first", i12_login_replies_come_first),
    ("i13_login_is_completed_then_announced", i13_login_is_completed_then_announced),
    ("i14_every_change_is_announced", i14_every_change_is_announced),
    ("i15_status_agrees_with_the_announcement", i15_status_agrees_with_the_announcement),
    ("i16_reads_show_the_login_in_force", i16_reads_show_the_login_in_force),
    ("i21_the_forced_method_holds", i21_the_forced_method_holds),
    ("i22_the_token_authority_is_left_alone", i22_the_token_authority_is_left_alone),
    ("i23_only_external_mode_asks_the_host", i23_only_external_mode_asks_the_host),
    ("i24_reading_sends_nothing", i24_reading_sends_nothing),
    ("i25_a_refresh_takes_its_time_and_no_more", i25_a_refresh_takes_its_time_and_no_more),
    ("i26_answers_to_nothing_do_nothing", i26_answers_to_nothing_do_nothing),
    ("i27_a_failed_refresh_changes_nothing", i27_a_failed_refresh_changes_nothing),
    ("i28_few_requests_are_refused", i28_few_requests_are_refused),
    ("i29_no_token_is_refused_twice", i29_no_token_is_refused_twice),
    ("i30_api_keys_are_never_refreshed", i30_api_keys_are_never_refreshed),
    ("i31_a_failed_refresh_fails_the_turn", i31_a_failed_refresh_fails_the_turn),
    ("i32_a_final_401_is_unauthorized", i32_a_final_401_is_unauthorized),
    ("i34_tokens_are_renewed_when_they_are_old", i34_tokens_are_renewed_when_they_are_old),
    ("i36_retries_carry_the_login_in_force", i36_retries_carry_the_login_in_force),
    ("i37_tokens_survive_an_interrupt", i37_tokens_survive_an_interrupt),
    ("i38_no_secret_is_logged", i38_no_secret_is_logged),
    ("i39_tokens_go_where_they_belong", i39_tokens_go_where_they_belong),
    ("i40_the_rest_is_answered_at_once", i40_the_rest_is_answered_at_once),
    ("i41_a_bad_record_is_reported", i41_a_bad_record_is_reported),
    ("i42_logout_deletes_the_record", i42_logout_deletes_the_record),
    ("i43_the_record_is_private", i43_the_record_is_private),
    ("d5_no_work_outlives_its_owner", d5_no_work_outlives_its_owner),
];

/// Fails with the text unless it holds.
fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(text()) }
}

/// Every reply of the last step that was expected, with what it was.
fn replies(
    scene: &Scene,
) -> impl Iterator<Item = (&Expected, &Result<serde_json::Value, (i64, String)>)> {
    scene.seen.iter().filter_map(|seen| match seen {
        Seen::Reply { expected: Some(expected), got } => Some((&**expected, got)),
        _ => None,
    })
}

/// A reply that is not what was expected.
fn mismatch(expected: &Expected, got: &Result<serde_json::Value, (i64, String)>) -> String {
    format!("{:?}: expected {:?}, got {got:?}", expected.line, expected.verdict)
}

/// Exactly one reply a request; a clean end leaves none out (design.md §4.1).
fn d1_every_request_is_answered_once(scene: &Scene) -> Result<(), String> {
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
    let has_ended_well = scene.world.exit() == Some(ExitStatus::Clean);
    // A signal during start-up ends a session that has read nothing.
    ensure(!has_ended_well || unanswered.is_empty(), || {
        format!("the end leaves {unanswered:?} without a reply")
    })
}

/// Started once, completed once, items within, in order (design.md §4.2).
fn d2_turns_and_items_keep_their_order(scene: &Scene) -> Result<(), String> {
    scene.grammar_trouble.clone().map_or(Ok(()), Err)
}

/// A turn that was interrupted, or has nothing to do, or cannot send, ends at once and in its way;
/// no other turn ends without a cause.
fn d2_turns_end_when_they_must(scene: &Scene) -> Result<(), String> {
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
fn d3_what_must_happen_happens(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Unmet(text) = seen {
            return Err(format!("it did not happen that {text}"));
        }
    }
    Ok(())
}

/// A host that does not read makes the machine stop reading, and its output stays small
/// (design.md §4.5).
fn d5_output_is_bounded(scene: &Scene) -> Result<(), String> {
    let (most, limit) = (scene.world.backlog_max, scene.world.backlog_limit());
    ensure(most <= limit, || format!("{most} bytes wait for the host, more than {limit}"))
}

/// Each running turn has one stream or one timer more than none; nothing else is left behind
/// (design.md §4.5).
fn d5_no_work_outlives_its_owner(scene: &Scene) -> Result<(), String> {
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
    let (holds, renewals) = (world.holds().len(), usize::from(managed.is_some()));
    ensure(holds == renewals, || format!("{holds} locks for {renewals} refreshes"))
}

/// A request is sent again no more often than the provider's two settings allow together
/// (engine.md §2.4).
fn e1_retries_are_bounded(scene: &Scene) -> Result<(), String> {
    let most = scene.setting.retries();
    for seen in &scene.seen {
        if let Seen::Retried(retries) = seen {
            ensure(*retries <= most, || format!("sent again {retries} times, not {most}"))?;
        }
    }
    Ok(())
}

/// I1: external tokens are in no file.
fn i01_external_tokens_are_never_stored(scene: &Scene) -> Result<(), String> {
    if !scene.has_touched_files {
        return Ok(());
    }
    for secret in scene.world.keyring.secrets() {
        ensure(!secret.contains(EXTERNAL_MARK), || "the keyring holds a token".to_owned())?;
    }
    for path in scene.world.files.paths() {
        let bytes = scene.world.files.content(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let is_store = path.as_os_str() == AUTH_FILE || path.ends_with("config.toml");
        let marks = if is_store { &MARKS[..1] } else { &MARKS[..] };
        let mark = marks.iter().find(|mark| text.contains(**mark));
        ensure(mark.is_none(), || format!("{} holds a token: {mark:?}", path.display()))?;
    }
    Ok(())
}

/// I2: a request carries the account of the very token it carries.
fn i02_account_is_the_tokens_own(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Sent { sent, expected: (bearer, account), .. } = seen
            && sent.bearer == *bearer
        {
            ensure(sent.account == *account, || {
                format!("{bearer:?} went with account {:?}, not {account:?}", sent.account)
            })?;
        }
    }
    Ok(())
}

/// I3: nobody is signed in after a logout: no request has a bearer, no read shows an account.
fn i03_after_logout_nothing_is_usable(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Sent { sent, login, .. } = seen
            && login.kind == Kind::None
        {
            let bearer = sent.bearer.as_deref().filter(|bearer| *bearer != PROVIDER_KEY);
            ensure(bearer.is_none(), || format!("nobody is signed in, and {bearer:?} is sent"))?;
        }
    }
    for (expected, got) in replies(scene) {
        let is_nobody = expected.login.kind == Kind::None && expected.line.is_read();
        ensure(!is_nobody || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I4: a logout whose deletion fails is refused and says that nobody is signed in.
fn i04_a_failed_logout_clears_memory(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        if matches!(expected.line, Line::Logout { .. }) && got.is_err() {
            ensure(expected.login.kind == Kind::None || !expected.verdict.is_ok(), || {
                mismatch(expected, got)
            })?;
        }
    }
    Ok(())
}

/// I5: one refresh at a time, whoever waits for it; and it is begun when one is needed.
fn i05_one_refresh_at_a_time(scene: &Scene) -> Result<(), String> {
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
fn i06_late_tokens_are_never_used(scene: &Scene) -> Result<(), String> {
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
fn i07_a_refresh_keeps_the_mode(scene: &Scene) -> Result<(), String> {
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
fn i07_a_refresh_writes_into_its_own_record(scene: &Scene) -> Result<(), String> {
    let has_renewed = scene.seen.iter().any(|seen| matches!(seen, Seen::Renewed));
    if !has_renewed || scene.setting.keeping == Keeping::Auto {
        return Ok(());
    }
    let (before, after) = (&scene.owners_before, scene.owners());
    ensure(*before == after, || format!("a refresh has turned {before:?} into {after:?}"))
}

fn completions(scene: &Scene) -> impl Iterator<Item = (&Option<Notice>, &Completed)> {
    scene.seen.iter().filter_map(|seen| match seen {
        Seen::Announced { expected, got } => Some((expected, got.completion.as_ref()?)),
        _ => None,
    })
}

/// I8: a login that was accepted is completed once. That it is completed at all is looked at when
/// everything has come to rest.
fn i08_a_login_is_completed_once(scene: &Scene) -> Result<(), String> {
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
fn i09_nothing_is_left_of_a_cancelled_login(scene: &Scene) -> Result<(), String> {
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
fn i10_the_older_login_is_said_to_have_failed(scene: &Scene) -> Result<(), String> {
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
fn i11_one_login_at_a_time(scene: &Scene) -> Result<(), String> {
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
fn i12_login_replies_come_first(scene: &Scene) -> Result<(), String> {
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
fn i13_login_is_completed_then_announced(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Announced { expected, got } = seen {
            let is_right = expected.as_ref().is_some_and(|notice| got.fits(notice));
            ensure(is_right, || format!("announced {got:?}, not {expected:?}"))?;
        }
    }
    Ok(())
}

/// I14: the host is told of every change that it can see.
fn i14_every_change_is_announced(scene: &Scene) -> Result<(), String> {
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
fn i15_status_agrees_with_the_announcement(scene: &Scene) -> Result<(), String> {
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

/// I16: what is read is the login in force, whatever logins were refused before.
fn i16_reads_show_the_login_in_force(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        let is_read = expected.line.is_read();
        ensure(!is_read || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I16: the store is written for logins with a key that are allowed, and for logouts; not for those
/// that are refused, and never for the host's tokens.
fn i16_the_store_is_written_when_asked(scene: &Scene) -> Result<(), String> {
    let was_stored = scene.seen.iter().any(|seen| matches!(seen, Seen::Stored));
    ensure(!was_stored, || "the store was written without a request for it".to_owned())?;
    scene.model.store_trouble.clone().map_or(Ok(()), Err)?;
    if !scene.has_touched_files || scene.world.exit().is_some() {
        return Ok(());
    }
    let places = [
        ("auth.json", &scene.model.stores.file, scene.auth_file()),
        ("the keyring", &scene.model.stores.keyring, scene.keyring_entry()),
    ];
    for (place, wanted, got) in places {
        let (wanted, got) = (wanted.shape(), Record::shape_of(got.as_deref()));
        ensure(wanted == got, || format!("{place} holds `{got}`, not `{wanted}`"))?;
    }
    Ok(())
}

fn is_login(line: &Line) -> bool {
    matches!(line, Line::LoginKey { .. } | Line::LoginChatGpt { .. } | Line::LoginTokens(_))
}

/// I17: E1 if and only if the host's tokens are in force, before E2 and E3; nothing else blocks.
fn i17_blocked_logins_are_blocked(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        let is_own = matches!(expected.line, Line::LoginKey { .. } | Line::LoginChatGpt { .. });
        ensure(!is_own || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I18: the host's tokens are taken in every mode unless an API key is forced, or they are bad.
fn i18_tokens_are_blocked_only_by_force(scene: &Scene) -> Result<(), String> {
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
fn i19_the_forced_workspace_holds(scene: &Scene) -> Result<(), String> {
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
fn i21_the_forced_method_holds(scene: &Scene) -> Result<(), String> {
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
fn i20_the_forced_workspace_holds_for_managed_logins(scene: &Scene) -> Result<(), String> {
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

/// I22: the server that issues tokens is not talked to while the host's are in force.
fn i22_the_token_authority_is_left_alone(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Authority { sent, login, .. } = seen {
            ensure(login.kind != Kind::External, || format!("a request to {}", sent.url))?;
        }
    }
    Ok(())
}

/// I23: the host is asked for tokens only while its tokens are in force.
fn i23_only_external_mode_asks_the_host(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Asked { login, .. } = seen {
            ensure(login.kind == Kind::External, || format!("asked while {:?}", login.kind))?;
        }
    }
    Ok(())
}

/// I24: reads send nothing, also with `refreshToken: true`.
fn i24_reading_sends_nothing(scene: &Scene) -> Result<(), String> {
    let acted = scene.seen.iter().any(|seen| matches!(seen, Seen::ReadActed));
    ensure(!acted, || "something went out because of a read".to_owned())
}

/// I25: a question is over when its time is, and not before.
fn i25_a_refresh_takes_its_time_and_no_more(scene: &Scene) -> Result<(), String> {
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

/// I26: late, duplicate and unknown answers have no effect; neither have timers and responses
/// that were given up.
fn i26_answers_to_nothing_do_nothing(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Noise { late_answer, strange_visit: false, outputs } = seen {
            return Err(format!("{outputs} effects of nothing (a late answer: {late_answer})"));
        }
    }
    Ok(())
}

/// I27: a refresh that fails changes no login and no file, and sends nothing.
fn i27_a_failed_refresh_changes_nothing(scene: &Scene) -> Result<(), String> {
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

/// I28: at most three requests in a row are refused to a turn.
fn i28_few_requests_are_refused(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Refused { refused, .. } = seen {
            ensure(*refused <= 3, || format!("{refused} requests of a turn were refused"))?;
        }
    }
    Ok(())
}

/// I29: a turn does not send a token again that was refused to it.
fn i29_no_token_is_refused_twice(scene: &Scene) -> Result<(), String> {
    let repeats = scene.seen.iter().any(|seen| matches!(seen, Seen::Refused { repeats: true, .. }));
    ensure(!repeats, || "a token was sent again after it had been refused".to_owned())
}

/// I30: nothing is refreshed while an API key is in force.
fn i30_api_keys_are_never_refreshed(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Asked { login, .. } | Seen::Renewing { login, .. } = seen {
            ensure(login.kind != Kind::Key, || "asked while an API key is in force".to_owned())?;
        }
    }
    Ok(())
}

/// I31: without new tokens the waiting turns fail at once, for that reason, as `unauthorized`.
fn i31_a_failed_refresh_fails_the_turn(scene: &Scene) -> Result<(), String> {
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
fn i32_a_final_401_is_unauthorized(scene: &Scene) -> Result<(), String> {
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
fn i33_old_tokens_fail_nobody(scene: &Scene) -> Result<(), String> {
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
fn i34_tokens_are_renewed_when_they_are_old(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Renewing { is_due, login, .. } = seen {
            ensure(login.kind == Kind::Managed, || format!("renewed while {:?}", login.kind))?;
            ensure(*is_due, || "a refresh that nothing called for".to_owned())?;
        }
    }
    Ok(())
}

/// I35: a refresh token that was refused for good is not sent again.
fn i35_a_dead_refresh_token_stays_unused(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::SpentAgain(token) = seen {
            return Err(format!("{token} was refused for good, and is sent again"));
        }
    }
    Ok(())
}

/// I36: whatever is sent carries the login in force, at once when a turn was waiting for it.
fn i36_retries_carry_the_login_in_force(scene: &Scene) -> Result<(), String> {
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
fn i37_tokens_survive_an_interrupt(scene: &Scene) -> Result<(), String> {
    if !scene.model.is_unattended {
        return Ok(());
    }
    for (expected, got) in replies(scene) {
        let is_status = matches!(expected.line, Line::Status { .. });
        ensure(!is_status || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I38: no part of a credential is logged.
fn i38_no_secret_is_logged(scene: &Scene) -> Result<(), String> {
    let Some(mark) = MARKS.iter().find(|mark| scene.log.contains(**mark)) else { return Ok(()) };
    let line = scene.log.lines().find(|line| line.contains(mark)).unwrap_or_default();
    Err(format!("the log holds a token: {line}"))
}

/// I39: the account's tokens go only to the first party and to providers that ask for them.
fn i39_tokens_go_where_they_belong(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::Sent { sent, login, expected: (bearer, _), .. } => {
                ensure(sent.bearer.is_none() || bearer.is_some(), || {
                    format!("{:?} went to {}", sent.bearer, sent.url)
                })?;
                let (base, path) = match sent.purpose {
                    Purpose::Turn => (scene.setting.base_url(login), "/responses"),
                    Purpose::Usage => ("https://chatgpt.com/backend-api", "/wham/usage"),
                    _ => (scene.setting.base_url(login), "/models?"),
                };
                let rest = sent.url.strip_prefix(base);
                ensure(rest.is_some_and(|rest| rest.starts_with(path)), || {
                    format!("to {}, not {base}{path}", sent.url)
                })?;
            }
            Seen::Authority { sent, is_due, .. } => {
                let own = match sent.purpose {
                    Purpose::Oust => "http://127.0.0.1:1455/cancel",
                    _ => "https://auth.openai.com/",
                };
                ensure(sent.url.starts_with(own), || format!("tokens went to {}", sent.url))?;
                ensure(sent.bearer.is_none() && sent.account.is_none(), || {
                    format!("{} has a bearer", sent.url)
                })?;
                let text = || format!("a request that nothing called for: {:?}", sent.purpose);
                ensure(*is_due || is_about_account(scene), text)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A request of a refresh that must not be sent is a matter of I45.
fn is_about_account(scene: &Scene) -> bool {
    scene.seen.iter().any(|seen| match seen {
        Seen::Authority { sent, .. } => sent.purpose == Purpose::Refresh,
        _ => false,
    })
}

/// I40: requests that wait for nothing are answered in the same input, whatever else is going on.
fn i40_the_rest_is_answered_at_once(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Unanswered(method) = seen {
            return Err(format!("{method} was not answered at once"));
        }
    }
    Ok(())
}

/// I41: a stored record that cannot be used is reported, once, after `initialize`.
fn i41_a_bad_record_is_reported(scene: &Scene) -> Result<(), String> {
    let is_ours = |seen: &&Seen| matches!(seen, Seen::Warned(summary) if summary.starts_with("Stored credentials"));
    let warned = scene.seen.iter().filter(is_ours).count();
    let begun = replies(scene)
        .filter(|(expected, got)| matches!(expected.line, Line::Initialize) && got.is_ok());
    let wanted = if scene.model.warns { begun.count() } else { 0 };
    ensure(warned == wanted, || format!("warned {warned} times, not {wanted}"))
}

/// I42: after a logout that worked the record is gone.
fn i42_logout_deletes_the_record(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        let is_kept = scene.setting.keeping != Keeping::Memory;
        if matches!(expected.line, Line::Logout { .. }) && got.is_ok() && is_kept {
            ensure(scene.auth_file().is_none(), || "auth.json is still there".to_owned())?;
            let entry = scene.keyring_entry().filter(|_| scene.model.stores.is_in_keyring());
            ensure(entry.is_none(), || "the keyring's entry is still there".to_owned())?;
        }
    }
    Ok(())
}

/// I43: a record that was written may be read by its owner only.
fn i43_the_record_is_private(scene: &Scene) -> Result<(), String> {
    let stores = &scene.model.stores;
    let is_written = stores.file_is_ours && stores.file != Record::Nothing;
    if is_written && scene.has_touched_files {
        let access = scene.world.files.access(AUTH_FILE);
        ensure(access == Some(Access::Private), || format!("auth.json is {access:?}"))?;
    }
    Ok(())
}

/// I44: a browser that does not know the login's state gets a page that says so, and nothing else
/// happens. Every browser gets the page that is meant for it, without anything secret in it.
fn i44_a_wrong_state_has_no_effect(scene: &Scene) -> Result<(), String> {
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

/// I45: when the store holds another account's record, or none, nothing is asked of the authority, and
/// the other account's tokens are not taken over.
fn i45_no_refresh_for_another_account(scene: &Scene) -> Result<(), String> {
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
