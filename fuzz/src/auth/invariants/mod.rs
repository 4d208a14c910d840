//! The invariants by name (auth.md §13.1, design.md §4), each a look at what the last step brought.

mod login;
mod record;
mod refresh;
mod server;

use super::scene::Scene;
use super::seen::{Expected, Got, Seen};

/// A named check of what the last step brought.
pub type Check = fn(&Scene) -> Result<(), String>;

/// Every invariant. The first that fails gives a failure its name, so that causes stand before what
/// they lead to.
pub const INVARIANTS: &[(&str, Check)] = &[
    ("d1_every_request_is_answered_once", server::d1_every_request_is_answered_once),
    ("i44_a_wrong_state_has_no_effect", login::i44_a_wrong_state_has_no_effect),
    ("i45_no_refresh_for_another_account", refresh::i45_no_refresh_for_another_account),
    ("i35_a_dead_refresh_token_stays_unused", refresh::i35_a_dead_refresh_token_stays_unused),
    ("i33_old_tokens_fail_nobody", refresh::i33_old_tokens_fail_nobody),
    ("i07_a_refresh_writes_into_its_own_record", refresh::i07_a_refresh_writes_into_its_own_record),
    ("i09_nothing_is_left_of_a_cancelled_login", login::i09_nothing_is_left_of_a_cancelled_login),
    (
        "i10_the_older_login_is_said_to_have_failed",
        login::i10_the_older_login_is_said_to_have_failed,
    ),
    ("i08_a_login_is_completed_once", login::i08_a_login_is_completed_once),
    (
        "i20_the_forced_workspace_holds_for_managed_logins",
        login::i20_the_forced_workspace_holds_for_managed_logins,
    ),
    ("d2_turns_and_items_keep_their_order", server::d2_turns_and_items_keep_their_order),
    ("d2_nobody_hears_what_is_not_wanted", server::d2_nobody_hears_what_is_not_wanted),
    ("d2_turns_end_when_they_must", server::d2_turns_end_when_they_must),
    ("d3_what_must_happen_happens", server::d3_what_must_happen_happens),
    ("d5_output_is_bounded", server::d5_output_is_bounded),
    ("e1_retries_are_bounded", server::e1_retries_are_bounded),
    ("i16_the_store_is_written_when_asked", record::i16_the_store_is_written_when_asked),
    ("i17_blocked_logins_are_blocked", login::i17_blocked_logins_are_blocked),
    ("i18_tokens_are_blocked_only_by_force", login::i18_tokens_are_blocked_only_by_force),
    ("i19_the_forced_workspace_holds", login::i19_the_forced_workspace_holds),
    ("i01_external_tokens_are_never_stored", record::i01_external_tokens_are_never_stored),
    ("i02_account_is_the_tokens_own", record::i02_account_is_the_tokens_own),
    ("i03_after_logout_nothing_is_usable", record::i03_after_logout_nothing_is_usable),
    ("i04_a_failed_logout_clears_memory", record::i04_a_failed_logout_clears_memory),
    ("i05_one_refresh_at_a_time", refresh::i05_one_refresh_at_a_time),
    ("i06_late_tokens_are_never_used", refresh::i06_late_tokens_are_never_used),
    ("i07_a_refresh_keeps_the_mode", refresh::i07_a_refresh_keeps_the_mode),
    ("i11_one_login_at_a_time", login::i11_one_login_at_a_time),
    ("i12_login_replies_come_first", login::i12_login_replies_come_first),
    ("i13_login_is_completed_then_announced", login::i13_login_is_completed_then_announced),
    ("i14_every_change_is_announced", login::i14_every_change_is_announced),
    ("i15_status_agrees_with_the_announcement", login::i15_status_agrees_with_the_announcement),
    ("i16_reads_show_the_login_in_force", record::i16_reads_show_the_login_in_force),
    ("i21_the_forced_method_holds", login::i21_the_forced_method_holds),
    ("i22_the_token_authority_is_left_alone", refresh::i22_the_token_authority_is_left_alone),
    ("i23_only_external_mode_asks_the_host", refresh::i23_only_external_mode_asks_the_host),
    ("i24_reading_sends_nothing", refresh::i24_reading_sends_nothing),
    ("i25_a_refresh_takes_its_time_and_no_more", refresh::i25_a_refresh_takes_its_time_and_no_more),
    ("i26_answers_to_nothing_do_nothing", server::i26_answers_to_nothing_do_nothing),
    ("i27_a_failed_refresh_changes_nothing", refresh::i27_a_failed_refresh_changes_nothing),
    ("i28_few_requests_are_refused", server::i28_few_requests_are_refused),
    ("i29_no_token_is_refused_twice", refresh::i29_no_token_is_refused_twice),
    ("i30_api_keys_are_never_refreshed", refresh::i30_api_keys_are_never_refreshed),
    ("i31_a_failed_refresh_fails_the_turn", refresh::i31_a_failed_refresh_fails_the_turn),
    ("i32_a_final_401_is_unauthorized", refresh::i32_a_final_401_is_unauthorized),
    ("i34_tokens_are_renewed_when_they_are_old", refresh::i34_tokens_are_renewed_when_they_are_old),
    ("i36_retries_carry_the_login_in_force", refresh::i36_retries_carry_the_login_in_force),
    ("i37_tokens_survive_an_interrupt", refresh::i37_tokens_survive_an_interrupt),
    ("i38_no_secret_is_logged", record::i38_no_secret_is_logged),
    ("i39_tokens_go_where_they_belong", record::i39_tokens_go_where_they_belong),
    ("i40_the_rest_is_answered_at_once", server::i40_the_rest_is_answered_at_once),
    ("i41_a_bad_record_is_reported", record::i41_a_bad_record_is_reported),
    ("i42_logout_deletes_the_record", record::i42_logout_deletes_the_record),
    ("i43_the_record_is_private", record::i43_the_record_is_private),
    ("d5_no_work_outlives_its_owner", server::d5_no_work_outlives_its_owner),
];

/// Fails with the text unless it holds.
fn ensure(holds: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(text()) }
}

/// Every reply of the last step that was expected, with what it was.
fn replies(scene: &Scene) -> impl Iterator<Item = (&Expected, &Got)> {
    scene.seen.iter().filter_map(|seen| match seen {
        Seen::Reply { expected: Some(expected), got } => Some((&**expected, got)),
        _ => None,
    })
}

/// A reply that is not what was expected.
fn mismatch(expected: &Expected, got: &Got) -> String {
    format!("{:?}: expected {:?}, got {got:?}", expected.line, expected.verdict)
}
