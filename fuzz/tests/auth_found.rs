//! Scripts that broke a rule once, each made small. What must hold in them is every invariant.

use understudy_fuzz::auth::grant::Grant;
use understudy_fuzz::auth::model::login::{Proof, Visit};
use understudy_fuzz::auth::run::{Script, play};
use understudy_fuzz::auth::setting::{Keeping, Setting, Stored};
use understudy_fuzz::auth::step::{Say, Step};
use understudy_fuzz::auth::tokens::Wanted;
use understudy_fuzz::world::backend::Response;
use understudy_fuzz::world::fact::Port;
use understudy_fuzz::world::{Cut, Fault};

fn say(what: Say) -> Step {
    Step::Say(what, false, Cut::Whole)
}

/// Plays the steps after start-up and `initialize`.
#[track_caller]
fn check(setting: Setting, rest: &[Step]) {
    let mut steps = vec![Step::Job(0, Fault::None), say(Say::Initialize)];
    steps.extend_from_slice(rest);
    let script = Script { seed: 0, setting, steps };
    if let Err(violation) = play(&script) {
        panic!("{}: {}\n{script:#?}", violation.rule, violation.text);
    }
}

fn managed() -> Setting {
    Setting { stored: Stored::Managed, ..Setting::default() }
}

/// Whoever waits for a refresh hears of its end, also when the store's job is lost with the tokens.
#[test]
fn a_refresh_whose_save_is_lost_ends() {
    check(
        managed(),
        &[
            say(Say::RateLimits),
            Step::Respond(0, Response::Status(401), 1 << 20),
            Step::Hold(true),
            Step::Job(0, Fault::None),
            Step::Grant(0, Grant::Good),
            Step::Job(0, Fault::Lost),
        ],
    );
}

/// A pause that no clock can count is cut to the time that the login has.
#[test]
fn a_device_code_that_is_to_be_asked_about_in_the_end_of_days() {
    let not_here = || [say(Say::LoginDevice), Step::Grant(0, Grant::Unheard)];
    let mut steps: Vec<_> = (0..3).flat_map(|_| not_here()).collect();
    // The fourth answer of the authority has such a pause.
    steps.extend([say(Say::LoginDevice), Step::Grant(0, Grant::Good)]);
    check(Setting::default(), &steps);
}

/// A device code that is asked for and overtaken in one breath is asked for before the tokens come.
#[test]
fn a_device_code_is_overtaken_by_tokens_before_the_start_is_over() {
    let steps = [say(Say::LoginDevice), say(Say::LoginTokens(Wanted::GOOD))];
    let setting = managed();
    let mut all = vec![say(Say::Initialize)];
    all.extend(steps);
    all.push(Step::Job(0, Fault::None));
    let script = Script { seed: 0, setting, steps: all };
    if let Err(violation) = play(&script) {
        panic!("{}: {}", violation.rule, violation.text);
    }
}

/// A browser login up to the moment when the store has its tokens in hand.
fn saving() -> Vec<Step> {
    vec![
        say(Say::LoginChatGpt { legacy: false }),
        Step::Listen(Port::Granted),
        Step::Visit(Visit::Code, Proof::Right),
        Step::Grant(0, Grant::Good),
        Step::Grant(0, Grant::Good),
    ]
}

/// What the store has in hand cannot be taken back, so nobody may hear that it was.
#[test]
fn a_login_that_is_being_saved_is_not_cancelled_by_its_browser() {
    let mut steps = saving();
    steps.extend([Step::Visit(Visit::Cancel, Proof::Right), Step::Job(0, Fault::None)]);
    check(Setting::default(), &steps);
}

/// The same when the listener is lost: the tokens are there already.
#[test]
fn a_login_that_is_being_saved_outlives_its_listener() {
    for port in [Port::Lost, Port::Refused] {
        let mut steps = saving();
        steps.extend([Step::Listen(port), Step::Job(0, Fault::None)]);
        check(Setting::default(), &steps);
    }
}

/// A browser login that loses its listener ends in the words of a browser login, and no page is
/// handed to a listener that is not there.
#[test]
fn a_login_ends_when_its_listener_is_lost() {
    for port in [Port::Lost, Port::Refused] {
        for length in 2..4 {
            let mut steps = saving();
            steps.truncate(length);
            steps.push(Step::Listen(port));
            check(Setting::default(), &steps);
        }
    }
}

fn kept_by_the_keyring() -> Setting {
    Setting { keeping: Keeping::Auto, ..managed() }
}

/// A keyring that fails at the start is reported: that there is nothing in the file beside it does
/// not mean that nobody is signed in.
#[test]
fn a_keyring_that_cannot_be_read_is_reported() {
    let steps = vec![Step::Job(0, Fault::Keyring), say(Say::Initialize)];
    let script = Script { seed: 0, setting: kept_by_the_keyring(), steps };
    if let Err(violation) = play(&script) {
        panic!("{}: {}\n{script:#?}", violation.rule, violation.text);
    }
}

/// Nor does it mean so while tokens are refreshed: they are asked for, and kept.
#[test]
fn a_keyring_that_fails_loses_no_tokens() {
    for faults in [[Fault::Keyring, Fault::None], [Fault::None, Fault::Keyring]] {
        check(
            kept_by_the_keyring(),
            &[
                say(Say::RateLimits),
                Step::Respond(0, Response::Status(401), 1 << 20),
                Step::Hold(true),
                Step::Job(0, faults[0]),
                Step::Grant(0, Grant::Good),
                Step::Job(0, faults[1]),
            ],
        );
    }
}

/// Tokens that could not be saved leave the older ones in the store. Those were refused, and are not
/// taken for another process's when the newer ones are refused in turn.
#[test]
fn what_is_left_in_the_store_is_not_taken_for_new() {
    let refused = || Step::Respond(0, Response::Status(401), 1 << 20);
    let job = || Step::Job(0, Fault::None);
    check(
        Setting { has_keyring: false, request_retries: 0, ..managed() },
        &[
            say(Say::StartThread),
            job(),
            say(Say::Status { include: false, refresh: true }),
            Step::Hold(true),
            job(),
            say(Say::StartTurn { slot: 0, is_empty: false }),
            Step::Grant(0, Grant::Good),
            Step::Job(0, Fault::Lost),
            refused(),
            refused(),
            Step::Hold(false),
            job(),
            refused(),
            job(),
            refused(),
        ],
    );
}
