//! Logins in every state under every rule (auth.md §3.11), and a host that does not read.

use understudy_fuzz::auth::run::{Script, play};
use understudy_fuzz::auth::setting::{Forced, Setting, Stored};
use understudy_fuzz::auth::step::{Say, Step};
use understudy_fuzz::auth::tokens::{Account, Oddity, Shape, Wanted};
use understudy_fuzz::choose::{Choose, Exhaust};
use understudy_fuzz::world::backend::Response;
use understudy_fuzz::world::{Cut, Fault};

fn plain(what: Say) -> Step {
    Step::Say(what, false, Cut::Whole)
}

fn tokens(shape: Shape, account: Account, oddity: Oddity) -> Say {
    Say::LoginTokens(Wanted { shape, account, oddity })
}

/// One of all combinations; the model in the world knows what each must lead to.
fn choose(c: &mut Exhaust) -> Option<Script> {
    let setting = Setting {
        stored: c.pick(&[Stored::Nothing, Stored::Key])?,
        forced_method: c.pick(&[None, Some(Forced::Api), Some(Forced::ChatGpt)])?,
        forced_workspace: c.one_in(2)?,
        ..Setting::default()
    };
    let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
    if c.one_in(2)? {
        steps.push(plain(Say::LoginTokens(Wanted::GOOD)));
    }
    let login = c.pick(&[
        Say::LoginKey { legacy: false, is_empty: false },
        Say::LoginKey { legacy: true, is_empty: false },
        Say::LoginChatGpt { legacy: false },
        tokens(Shape::Old, Account::Wrong, Oddity::None),
        tokens(Shape::Old, Account::Unnamed, Oddity::None),
        tokens(Shape::Old, Account::Right, Oddity::BadClaim),
        tokens(Shape::New, Account::Wrong, Oddity::OtherPlan),
        tokens(Shape::New, Account::Right, Oddity::NoJwt),
        tokens(Shape::Both, Account::Right, Oddity::None),
    ])?;
    steps.extend([plain(login), Step::Job(0, Fault::None)]);
    steps.extend([
        plain(Say::Status { include: true, refresh: true }),
        plain(Say::ReadAccount { refresh: false }),
    ]);
    Some(Script { seed: 0, setting, steps })
}

#[test]
fn every_login_in_every_state() {
    let mut all = Exhaust::default();
    let mut count = 0;
    while all.begin() {
        let script = choose(&mut all).expect("an odometer does not run dry");
        count += 1;
        if let Err(violation) = play(&script) {
            panic!("{}: {}\n{script:#?}", violation.rule, violation.text);
        }
    }
    assert_eq!(count, 2 * 3 * 2 * 2 * 9);
}

/// Four long answers while nobody reads: the stream waits, the output stays bounded, nothing is lost.
#[test]
fn a_host_that_does_not_read_stops_the_stream() {
    let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
    for slot in 0..4 {
        steps.extend([plain(Say::StartThread), Step::Job(0, Fault::None)]);
        steps.push(plain(Say::StartTurn { slot, is_empty: false }));
    }
    steps.push(Step::StopReading);
    steps.extend([0, 1, 2, 3].map(|nth| Step::Respond(nth, Response::Flood, 1 << 16)));
    steps.push(plain(Say::Agent));
    let script = Script { seed: 0, setting: Setting::default(), steps };
    if let Err(violation) = play(&script) {
        panic!("{}: {}", violation.rule, violation.text);
    }
}
