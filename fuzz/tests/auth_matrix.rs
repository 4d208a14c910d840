//! Logins in every state under every rule (auth.md §3.11), every answer of the token authority, every
//! fault of every store, and a host that does not read.

use std::collections::BTreeSet;

use understudy_core::files::FileOp;
use understudy_core::limits;
use understudy_fuzz::auth::grant::Grant;
use understudy_fuzz::auth::marks::DIRECTED;
use understudy_fuzz::auth::model::login::{Proof, Visit};
use understudy_fuzz::auth::run::{Script, play};
use understudy_fuzz::auth::setting::{Forced, Keeping, Setting, Stored};
use understudy_fuzz::auth::step::{Change, Say, Step, Wait, Which};
use understudy_fuzz::auth::tokens::{Account, Oddity, Shape, Wanted};
use understudy_fuzz::choose::{Choose, Exhaust};
use understudy_fuzz::world::backend::Response;
use understudy_fuzz::world::fact::Port;
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
        stored: c.pick(&[Stored::Nothing, Stored::Key, Stored::Managed])?,
        forced_method: c.pick(&[None, Some(Forced::Api), Some(Forced::ChatGpt)])?,
        forced_workspace: c.one_in(2)?,
        ..Setting::default()
    };
    let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
    let before = c.below(3)?;
    if before > 0 {
        steps.extend([plain(Say::LoginChatGpt { legacy: false }), Step::Listen(Port::Granted)]);
    }
    if before == 2 {
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
    steps.push(plain(login));
    // A browser login goes all its way; to others these mean nothing.
    steps.extend([
        Step::Listen(Port::Granted),
        Step::Visit(Visit::Code, Proof::Right),
        Step::Grant(0, Grant::Good),
        Step::Grant(0, Grant::Good),
        Step::Job(0, Fault::None),
    ]);
    steps.extend([
        plain(Say::Status { include: true, refresh: true }),
        plain(Say::ReadAccount { refresh: false }),
    ]);
    Some(Script { seed: 0, setting, steps })
}

#[test]
fn every_login_in_every_state() {
    let wanted = ["browser: signed in", "browser: overtaken by tokens", "browser: a second login"];
    let (count, missing) = played(choose, &wanted);
    assert_eq!(missing, nothing());
    assert_eq!(count, 3 * 3 * 2 * 3 * 9);
}

/// What the authority may answer.
const GRANTS: [Grant; 12] = [
    Grant::Good,
    Grant::OtherPlan,
    Grant::Elsewhere,
    Grant::Unnamed,
    Grant::Expired,
    Grant::NoIdToken,
    Grant::BadIdToken,
    Grant::Nothing,
    Grant::Malformed,
    Grant::Refused(0),
    Grant::Invalid,
    Grant::Broken,
];

const KEEPINGS: [Keeping; 4] = [Keeping::File, Keeping::Keyring, Keeping::Auto, Keeping::Memory];

const FAULTS: [Fault; 7] = [
    Fault::None,
    Fault::Op(FileOp::Read),
    Fault::Op(FileOp::Write),
    Fault::Op(FileOp::Lock),
    Fault::Op(FileOp::Remove),
    Fault::Keyring,
    Fault::Lost,
];

/// Plays every combination, and says how many there were and what they have not reached.
fn played(
    choose: fn(&mut Exhaust) -> Option<Script>,
    wanted: &[&'static str],
) -> (usize, Vec<&'static str>) {
    let (mut all, mut count, mut reached) = (Exhaust::default(), 0, BTreeSet::new());
    while all.begin() {
        let script = choose(&mut all).expect("an odometer does not run dry");
        count += 1;
        match play(&script) {
            Err(violation) => panic!("{}: {}\n{script:#?}", violation.rule, violation.text),
            Ok(played) => reached.extend(played.marks),
        }
    }
    (count, wanted.iter().copied().filter(|mark| !reached.contains(mark)).collect())
}

fn nothing<'a>() -> Vec<&'a str> {
    Vec::new()
}

/// A browser login with every answer of the authority.
#[test]
fn every_answer_to_a_login() {
    let script = |c: &mut Exhaust| {
        let setting = Setting { forced_workspace: c.one_in(2)?, ..Setting::default() };
        let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
        steps.extend([
            plain(Say::LoginChatGpt { legacy: c.one_in(2)? }),
            Step::Listen(Port::Granted),
            Step::Visit(Visit::Code, Proof::Right),
            Step::Grant(0, c.pick(&GRANTS)?),
            Step::Grant(0, Grant::Good),
            Step::Job(0, Fault::None),
            plain(Say::ReadAccount { refresh: false }),
        ]);
        Some(Script { seed: 0, setting, steps })
    };
    let wanted = ["browser: signed in", "exchange: fails", "exchange: tokens that cannot be used"];
    assert_eq!(played(script, &wanted), (2 * 2 * 12, nothing()));
}

/// A renewal with every answer of the authority.
#[test]
fn every_answer_to_a_renewal() {
    let script = |c: &mut Exhaust| {
        let setting = Setting {
            stored: Stored::Managed,
            forced_workspace: c.one_in(2)?,
            ..Setting::default()
        };
        let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
        steps.extend([
            plain(Say::RateLimits),
            Step::Respond(0, Response::Status(401), 1 << 20),
            Step::Hold(true),
            Step::Job(0, Fault::None),
        ]);
        let grant = c.pick(&GRANTS)?;
        for _ in 0..limits::REFRESH_TRIES_MAX {
            steps.extend([Step::Grant(0, grant), Step::Job(0, Fault::None)]);
            steps.push(Step::Wait(Wait::ToNext));
        }
        steps.extend([plain(Say::Status { include: true, refresh: true })]);
        Some(Script { seed: 0, setting, steps })
    };
    let wanted = [
        "renewal: saved",
        "renewal: another plan",
        "renewal: refused for good",
        "renewal: fails in passing",
        "renewal: tokens that cannot be used",
        "renewal: the wrong workspace",
        "renewal: given up",
    ];
    assert_eq!(played(script, &wanted), (2 * 12, nothing()));
}

/// Every fault of every store, while it is read and while it is written, with every change that
/// another process may make before the first or between the two.
#[test]
fn every_fault_of_every_store() {
    let script = |c: &mut Exhaust| {
        let setting = Setting {
            stored: Stored::Managed,
            keeping: c.pick(&KEEPINGS)?,
            has_keyring: c.one_in(2)?,
            ..Setting::default()
        };
        let change = c.pick(&[
            None,
            Some(Change::Refreshed),
            Some(Change::OtherAccount),
            Some(Change::Key),
            Some(Change::Removed),
            Some(Change::Garbage),
        ])?;
        let (is_early, fault) = (c.one_in(2)?, c.pick(&FAULTS)?);
        let is_late = !is_early;
        let fault_if = |is_it: bool| if is_it { fault } else { Fault::None };
        let change = change.map(Step::Elsewhere);
        let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
        steps.extend([
            plain(Say::RateLimits),
            Step::Respond(0, Response::Status(401), 1 << 20),
            Step::Hold(true),
        ]);
        steps.extend(change.clone().filter(|_| is_early));
        steps.extend([Step::Job(0, fault_if(is_early)), Step::Grant(0, Grant::Good)]);
        steps.extend(change.filter(|_| is_late));
        steps.push(Step::Job(0, fault_if(is_late)));
        steps.extend([plain(Say::Logout { legacy: false }), Step::Job(0, fault)]);
        Some(Script { seed: 0, setting, steps })
    };
    let wanted = [
        "renewal: saved",
        "renewal: cannot be saved",
        "renewal: the record is another's when it is saved",
        "renewal: somebody else was faster",
        "renewal: somebody else has signed in",
        "renewal: somebody else has signed out",
        "store: delete failed",
    ];
    assert_eq!(played(script, &wanted), (4 * 2 * 6 * 2 * 7, nothing()));
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

/// One script for each mark that chance seldom reaches.
#[test]
fn what_chance_seldom_reaches() {
    let mut reached = BTreeSet::new();
    let mut run = |setting: Setting, rest: &[Step]| {
        let mut steps = vec![Step::Job(0, Fault::None), plain(Say::Initialize)];
        steps.extend_from_slice(rest);
        match play(&Script { seed: 0, setting, steps }) {
            Err(violation) => panic!("{}: {}\n{rest:#?}", violation.rule, violation.text),
            Ok(played) => reached.extend(played.marks),
        }
    };
    let begin = plain(Say::LoginChatGpt { legacy: false });
    let (granted, code) = (Step::Listen(Port::Granted), Step::Visit(Visit::Code, Proof::Right));
    let good = Step::Grant(0, Grant::Good);
    let mut taken = vec![begin.clone()];
    for _ in 0..limits::LOGIN_PORT_TRIES_MAX {
        let oust = Step::Respond(0, Response::Say, 1 << 20);
        taken.extend([Step::Listen(Port::InUse), oust, Step::Wait(Wait::ToNext)]);
    }
    run(Setting::default(), &taken);
    let login = [begin, granted, code, good.clone(), good];
    let cancel = plain(Say::CancelLogin { legacy: false, which: Which::Open });
    run(Setting::default(), &[&login[..2], &[Step::Listen(Port::Refused)]].concat());
    run(Setting::default(), &[&login[..3], &[cancel]].concat());
    let (unusable, key) = (Step::Grant(0, Grant::BadIdToken), Step::Grant(0, Grant::Good));
    run(Setting::default(), &[&login[..3], &[unusable, key]].concat());
    run(Setting::default(), &[&login[..], &[Step::Job(0, Fault::Lost)]].concat());
    let managed = || Setting { stored: Stored::Managed, ..Setting::default() };
    let refused = [plain(Say::RateLimits), Step::Respond(0, Response::Status(401), 1 << 20)];
    run(managed(), &[&refused[..], &[Step::Eof]].concat());
    let [usage, refuse] = refused.clone();
    let host = [plain(Say::LoginTokens(Wanted::GOOD)), usage];
    run(Setting::default(), &[&host[..], &[refuse.clone(), Step::Eof]].concat());
    run(Setting::default(), &[&host[..], &[Step::Eof, refuse]].concat());
    let (hold, read, save) =
        (Step::Hold(true), Step::Job(0, Fault::None), Step::Job(0, Fault::None));
    let unnamed = [hold, read, Step::Grant(0, Grant::Unnamed), save];
    let forced = Setting { forced_workspace: true, ..managed() };
    run(forced, &[&refused[..], &unnamed[..]].concat());
    let missing: Vec<_> = DIRECTED.iter().filter(|mark| !reached.contains(**mark)).collect();
    assert!(missing.is_empty(), "never reached: {missing:#?}");
}
