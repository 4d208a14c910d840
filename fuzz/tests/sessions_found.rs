//! Whole sessions that broke a rule once, each made small; and a few by chance, so that the daily
//! tests have some of everything. `simulate` plays many more.

use std::time::Duration;

use understudy_fuzz::sessions::reply::{Reply, Shell, Tool};
use understudy_fuzz::sessions::run::Script;
use understudy_fuzz::sessions::scene::Scene;
use understudy_fuzz::sessions::setting::{Setting, SignedIn};
use understudy_fuzz::sessions::step::{Deed, Say, Step, Wait};
use understudy_fuzz::sessions::table::{Finding, Policy, Reach, Sandbox};
use understudy_fuzz::sim::play::{play, play_again, play_in_bytes, play_seed};
use understudy_fuzz::world::Cut;
use understudy_fuzz::world::backend::Response;
use understudy_fuzz::world::disk::Harm;

fn say(what: Say) -> Deed {
    Deed::Say(what, Cut::Whole)
}

/// Plays the deeds after start-up and the start of a thread.
#[track_caller]
fn check(setting: Setting, rest: &[Deed]) {
    let start = say(Say::StartThread(Policy::OnRequest, Sandbox::Workspace));
    let mut deeds = vec![Deed::Job(Harm::None), start, Deed::Job(Harm::None)];
    deeds.extend_from_slice(rest);
    let steps = deeds.into_iter().map(|deed| Step(0, deed)).collect();
    let script = Script { seed: 0, setting, steps };
    if let Err(violation) = play(&script) {
        panic!("{}: {}\n{script:#?}", violation.rule, violation.text);
    }
}

/// Whoever joins a thread that is put away at the same time is told so.
#[test]
fn who_joins_a_thread_that_is_put_away_has_a_reply() {
    let deeds = [say(Say::ResumeThread(0)), say(Say::ArchiveThread(0))];
    check(Setting::default(), &deeds);
}

/// What an append has written before it failed is not written twice.
#[test]
fn a_torn_append_is_gone_on_with() {
    for at in [0, 1, 700, 1259, 2000, 3494] {
        check(
            Setting::default(),
            &[say(Say::StartTurn(0)), Deed::Job(Harm::None), Deed::Job(Harm::Torn(at))],
        );
    }
}

/// Nor is a turn whose error the host has heard taken for a stored one.
#[test]
fn a_failed_turn_that_is_not_stored_is_said_to_be() {
    check(
        Setting::default(),
        &[
            say(Say::StartTurn(0)),
            Deed::Respond(0, Reply::Plain(Response::Status(429)), 1 << 20),
            Deed::Job(Harm::Torn(3494)),
            Deed::Eof,
            Deed::Wait(Wait::For(std::time::Duration::from_secs(2))),
        ],
    );
}

/// What a turn has shown is stored, also when an append has failed of which the last line was noted
/// something: a later note is not put beside the older one.
#[test]
fn a_note_after_a_torn_append_takes_none_away() {
    for at in [0, 700, 3267, 3999] {
        check(
            Setting::default(),
            &[
                Deed::Job(Harm::None),
                say(Say::StartTurn(0)),
                say(Say::Review(0)),
                Deed::Job(Harm::None),
                Deed::Job(Harm::Torn(at)),
                say(Say::StartTurn(0)),
            ],
        );
    }
}

/// Rights that are changed while a patch is looked at are not mixed: never to ask, and to be held
/// back, is not to be let go in a sandbox that there is no more.
#[test]
fn a_patch_has_all_of_its_rights_from_one_moment() {
    check(
        Setting::default(),
        &[
            say(Say::SendTurn(0, Policy::Untrusted, Sandbox::Full)),
            Deed::Respond(0, Reply::Calls(vec![Tool::Patch(Reach::Outside)]), 1 << 20),
            say(Say::SendTurn(0, Policy::Never, Sandbox::Workspace)),
        ],
    );
}

/// Begins a thread at the first of two desks, where a turn runs in it, and joins it at the other.
fn joined() -> Vec<Step> {
    let job = || Deed::Job(Harm::None);
    let start = say(Say::StartThread(Policy::Untrusted, Sandbox::Workspace));
    let said = Deed::Respond(0, Reply::Plain(Response::Say), 1 << 20);
    let begin = [job(), start, job(), job(), say(Say::StartTurn(0)), job(), said, job(), job()];
    let join = [job(), say(Say::JoinThread(0)), job(), job()];
    let begin = begin.map(|deed| Step(0, deed)).into_iter();
    begin.chain(join.map(|deed| Step(1, deed))).collect()
}

/// Plays what follows at two desks that share a thread.
#[track_caller]
fn check_joined(rest: &[(usize, Deed)]) {
    let mut steps = joined();
    steps.extend(rest.iter().map(|(desk, deed)| Step(*desk, deed.clone())));
    let setting = Setting { machines: 2, ..Setting::default() };
    let script = Script { seed: 0, setting, steps };
    let played = play(&script).unwrap_or_else(|broken| panic!("{broken:?}\n{script:#?}"));
    assert!(played.marks.contains("a thread was joined by another machine"));
}

/// What one machine takes back while another reads is there or not.
#[test]
fn a_thread_may_be_cut_while_another_machine_reads_it() {
    check_joined(&[
        (1, say(Say::ReadThread(0))),
        (0, say(Say::RollBack(0, 1))),
        (0, Deed::Job(Harm::None)),
        (1, Deed::Job(Harm::None)),
    ]);
}

/// What one machine has put away another does not begin anew, without its first line.
#[test]
fn a_thread_that_another_machine_has_put_away_is_not_written_to() {
    check_joined(&[
        (0, say(Say::ArchiveThread(0))),
        (0, Deed::Job(Harm::None)),
        (1, say(Say::StartTurn(0))),
        (1, Deed::Job(Harm::None)),
    ]);
}

/// Who asks for a thread that is put away before the answer does not get that of the one that is
/// opened in its place: nobody would listen to it.
#[test]
fn an_answer_is_for_the_thread_that_has_asked() {
    let resume = |older: bool| match older {
        true => say(Say::ResumeConversation(0)),
        false => say(Say::ResumeThread(0)),
    };
    check(
        Setting::default(),
        &[
            Deed::Job(Harm::None),
            resume(false),
            resume(true),
            Deed::Job(Harm::None),
            Deed::Job(Harm::None),
            say(Say::ArchiveThread(0)),
            Deed::Job(Harm::None),
            Deed::Job(Harm::None),
            say(Say::StartTurn(0)),
        ],
    );
}

/// A runtime that does not ask gives more while the host does not read: each line may add what one
/// input may, and no more.
#[test]
fn what_was_not_wanted_adds_no_more_than_as_many_inputs() {
    let mut deeds = vec![say(Say::StartTurn(0)), Deed::StopReading];
    deeds.push(Deed::Respond(0, Reply::Plain(Response::Babble), 1000));
    deeds.extend(std::iter::repeat_n(say(Say::StartTurn(0)), 60));
    check(Setting { pushy: true, ..Setting::default() }, &deeds);
}

/// A machine that is stopped while it writes leaves the lines of another one alone, and what is
/// written twice is there once.
#[test]
fn two_machines_in_one_thread_do_not_hurt_each_other() {
    let setting = Setting { machines: 2, ..Setting::default() };
    let job = || Deed::Job(Harm::None);
    for at in [0, 1, 700, 1259, 2000, 3298, 3999] {
        for harm in [Deed::Job(Harm::Torn(at)), Deed::Crash(Harm::Torn(at))] {
            let mut steps = vec![Step(0, job()), Step(1, job())];
            let start = Say::StartThread(Policy::Untrusted, Sandbox::Workspace);
            steps.extend([say(start), job(), job()].map(|deed| Step(0, deed)));
            steps.extend([say(Say::JoinThread(0)), job(), job()].map(|deed| Step(1, deed)));
            for desk in [0, 1] {
                steps.extend([say(Say::StartTurn(0)), job()].map(|deed| Step(desk, deed)));
                let said = Deed::Respond(0, Reply::Plain(Response::Say), 1 << 20);
                steps.push(Step(desk, said));
            }
            steps.push(Step(0, harm));
            let script = Script { seed: 0, setting: setting.clone(), steps };
            let played = play(&script).unwrap_or_else(|broken| panic!("{broken:?}\n{script:#?}"));
            assert!(played.marks.contains("a thread was joined by another machine"));
        }
    }
}

/// A thread that is put away while its file is written takes its last lines along.
#[test]
fn a_thread_that_is_put_away_is_whole() {
    check(
        Setting::default(),
        &[say(Say::StartTurn(0)), say(Say::ArchiveThread(0)), say(Say::UnarchiveThread(0))],
    );
}

/// A copy has what it was shown with, also when the other thread goes on meanwhile.
#[test]
fn a_copy_is_what_it_was_shown_as() {
    check(
        Setting::default(),
        &[
            say(Say::StartTurn(0)),
            say(Say::ForkThread(0)),
            Deed::Job(Harm::None),
            Deed::Respond(0, Reply::Plain(Response::UsedUp), 1 << 20),
        ],
    );
}

/// A thread that nobody has used for long is put away behind a line, and not in the middle of one.
#[test]
fn a_thread_rests_where_a_line_ends() {
    let steps = [
        Deed::Job(Harm::None),
        say(Say::Converse(Policy::Never, Sandbox::Workspace)),
        Deed::Job(Harm::None),
        Deed::Job(Harm::None),
        say(Say::Listen(0)),
        Deed::Wait(Wait::For(Duration::from_secs(31 * 60))),
        say(Say::SendMessage(0)),
        say(Say::Any(4)),
    ];
    let steps = steps.map(|deed| Step(0, deed)).to_vec();
    let script = Script { seed: 0, setting: Setting::default(), steps };
    let played = play(&script).unwrap_or_else(|broken| panic!("{broken:?}"));
    play_in_bytes(&script, &played).unwrap_or_else(|failure| panic!("{failure}"));
}

/// A program that is left running outlives its turn, and a crash outlives nothing.
#[test]
fn a_program_that_is_left_running_may_be_typed_into_later() {
    let exec = Tool::Command { by: Shell::Exec(true), finding: Finding::Safe, escalated: false };
    let setting = Setting { has_sessions: true, ..Setting::default() };
    check(
        setting,
        &[
            say(Say::StartTurn(0)),
            Deed::Respond(0, Reply::Calls(vec![exec]), 1 << 20),
            Deed::Wait(Wait::For(std::time::Duration::from_secs(40))),
            Deed::Respond(0, Reply::Plain(Response::Say), 1 << 20),
            Deed::Job(Harm::None),
            say(Say::StartTurn(0)),
            Deed::Job(Harm::None),
            Deed::Respond(0, Reply::Calls(vec![Tool::Type]), 1 << 20),
            Deed::Crash(Harm::None),
        ],
    );
}

/// Two machines never spend a refresh token twice.
#[test]
fn two_machines_renew_tokens_one_after_the_other() {
    let setting = Setting { machines: 2, signed_in: SignedIn::Managed, ..Setting::default() };
    let both = |deed: &Deed| [Step(0, deed.clone()), Step(1, deed.clone())];
    let start = say(Say::StartThread(Policy::Never, Sandbox::Workspace));
    let refused = Deed::Respond(0, Reply::Plain(Response::Status(401)), 1 << 20);
    let deeds =
        [Deed::Job(Harm::None), start, Deed::Job(Harm::None), say(Say::StartTurn(0)), refused];
    let steps = deeds.iter().flat_map(both).collect();
    let script = Script { seed: 0, setting, steps };
    let played = play(&script).unwrap_or_else(|broken| panic!("{broken:?}"));
    assert!(played.marks.contains("tokens were renewed"));
}

/// The input ends while the disk hangs that the configuration lies on.
#[test]
fn it_ends_while_its_start_hangs() {
    let late = Deed::Wait(Wait::For(Duration::from_secs(11)));
    let steps = vec![Step(0, Deed::Eof), Step(0, late)];
    let script = Script { seed: 0, setting: Setting::default(), steps };
    play(&script).unwrap_or_else(|broken| panic!("{broken:?}"));
}

#[test]
fn every_rule_holds_in_random_sessions() {
    for seed in 0..40 {
        let played = play_seed::<Scene>(seed).and_then(|(script, played)| match seed % 10 {
            0 => play_again(&script, &played),
            5 => play_in_bytes(&script, &played),
            _ => Ok(()),
        });
        if let Err(failure) = played {
            panic!("{}", failure.minimised());
        }
    }
}
