//! Scripts that broke a rule once, each made small. What must hold in them is every invariant.

use understudy_fuzz::auth::grant::Grant;
use understudy_fuzz::auth::run::{Script, play};
use understudy_fuzz::auth::setting::{Setting, Stored};
use understudy_fuzz::auth::step::{Say, Step};
use understudy_fuzz::world::backend::Response;
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
