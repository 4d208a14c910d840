//! `docs/rules.md`: every rule that is a table in the code, printed from the code.
//!
//! Goal: the page says what the code does. Method: each method is called on a real machine, the
//! decisions are asked from their rooms, the limits are read out of their file. The test fails when
//! the page differs; with `UPDATE=1` in the environment it writes the page.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::approval;
use crate::auth::tables;
use crate::files::{Disk, MemoryFiles, NoKeyring};
use crate::wire::methods::{EXTENSIONS, METHODS, Params};
use crate::{Call, Effect, Input, Machine, Now, Outcome, Setup};

#[test]
#[expect(clippy::disallowed_methods, reason = "the one test that is told to write its expectation")]
fn the_page_of_rules_says_what_the_code_does() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md");
    let rules = rules();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, &rules).expect("docs/ can be written");
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    let mut both = rules.lines().zip(written.lines());
    let differs = both.find(|(code, page)| code != page);
    let hint = "docs/rules.md differs; UPDATE=1 cargo test -p understudy-core writes it";
    assert!(rules == written, "{hint}. First (code, page): {differs:?}");
}

fn rules() -> String {
    format!(
        "# Rules\n\n\
         Printed from the code by `core/tests/inside/rules_file.rs`; do not edit. To write it again:\n\
         `UPDATE=1 cargo test -p understudy-core rules_file`.\n\n\
         ## Which login is blocked\n\n\
         The first row that fits holds; a login that no row fits is allowed. \
         `External` is `chatgptAuthTokens`.\n\n{}\n\
         ## What a call to a model carries\n\n{}\n\
         ## Which command runs, and with what rights\n\n\
         A script is as bad as the worst of its plain commands. What is asked runs if the user \
         agrees.\n\n{}\n\
         ## Methods\n\n{}\n\
         ## Limits\n\n{}",
        tables::blocking(),
        tables::calls(),
        approval::table::markdown(),
        methods(),
        limits(),
    )
}

// --- methods ---

fn methods() -> String {
    let mut table = String::from("| method | params |\n| --- | --- |\n");
    for row in METHODS.iter().chain(EXTENSIONS) {
        let params = match row.params {
            Params::Object => "object",
            Params::None => "none",
        };
        // Some are refused without a login, and some because of one.
        for signed_in in [false, true] {
            let said = answer(&mut ready_machine(signed_in), row.name);
            assert!(!said.contains("\"not available yet: "), "{said}");
        }
        writeln!(table, "| `{}` | {params} |", row.name).expect("text can be written");
    }
    let extensions: Vec<_> = EXTENSIONS.iter().map(|row| format!("`{}`", row.name)).collect();
    format!(
        "All {} of the reference are served, and beyond those {}.\n\n{table}",
        METHODS.len(),
        extensions.join(", ")
    )
}

/// A machine that is initialized, and perhaps signed in with the host's tokens.
fn ready_machine(signed_in: bool) -> Machine {
    let setup = Setup::new("/home/me/.codex", "/work");
    let mut machine = Machine::new(setup, [0; 32], now());
    settle(&mut machine);
    let hello = r#"{"clientInfo":{"name":"d","version":"1"}}"#;
    let said = ask(&mut machine, "initialize", hello);
    assert!(said.contains("userAgent"), "{said}");
    if signed_in {
        let tokens =
            r#"{"type":"chatgptAuthTokens","accessToken":"e30.e30.e30","chatgptAccountId":"org"}"#;
        let said = ask(&mut machine, "account/login/start", tokens);
        assert!(said.contains("\"authMode\":\"chatgptAuthTokens\""), "{said}");
    }
    machine
}

/// What is said when `method` is called with no params, and whatever follows.
fn answer(machine: &mut Machine, method: &str) -> String {
    let said = ask(machine, method, "{}");
    assert!(said.contains("\"id\":1"), "{method}: {said}");
    said
}

fn ask(machine: &mut Machine, method: &str, params: &str) -> String {
    let line = format!("{{\"id\":1,\"method\":\"{method}\",\"params\":{params}}}\n");
    machine.handle(now(), Input::Bytes(line.as_bytes()));
    settle(machine)
}

/// Carries out everything that waits; calls to anything but files are lost.
fn settle(machine: &mut Machine) -> String {
    let files = MemoryFiles::new();
    let disk = Disk { files: &files, keyring: &NoKeyring };
    let mut said = Vec::new();
    while let Some(effect) = machine.poll_effect() {
        match effect {
            Effect::Send => {
                said.extend_from_slice(machine.pending_output());
                machine.wrote(machine.pending_output().len());
            }
            Effect::Start(id, call) => {
                let outcome = match *call {
                    Call::Files(job) => Outcome::Files(Box::new(job.run(disk))),
                    _ => Outcome::Lost,
                };
                machine.handle(now(), Input::Done(id, outcome));
            }
            Effect::Exit(status) => panic!("the machine ends: {status:?}"),
            Effect::RefreshAuth(..)
            | Effect::StartTimer(..)
            | Effect::CancelTimer(_)
            | Effect::Cancel(_)
            | Effect::Telemetry(_)
            | Effect::Feed(..) => {}
        }
    }
    String::from_utf8(said).expect("the wire is UTF-8")
}

fn now() -> Now {
    Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH)
}

// --- limits ---

/// The constants of `limits.rs` with their comments.
fn limits() -> String {
    let mut table =
        String::from("| limit | value | why, and what happens at it |\n| --- | --- | --- |\n");
    let mut reason: Vec<&str> = Vec::new();
    for line in include_str!("../../src/limits.rs").lines() {
        if let Some(text) = line.strip_prefix("///") {
            reason.push(text.trim());
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let (name, rest) = constant.split_once(": ").expect("a constant has a type");
            let (_, value) = rest.split_once(" = ").expect("a constant has a value on its line");
            assert!(!reason.is_empty(), "{name} has no reason");
            let (value, reason) = (shown(value.trim_end_matches(';')), reason.join(" "));
            writeln!(table, "| `{name}` | {value} | {reason} |").expect("text can be written");
        }
        if !line.starts_with("///") {
            reason.clear();
        }
    }
    table
}

/// A value as a person reads it: `64 << 10` is `64 KiB`, `Duration::from_secs(10)` is `10 s`.
fn shown(value: &str) -> String {
    let (value, unit) = match value.strip_prefix("Duration::from_") {
        None => match value.split_once(" << ") {
            Some((n, "10")) => (n, " KiB"),
            Some((n, "20")) => (n, " MiB"),
            _ => (value, ""),
        },
        Some(rest) => {
            let rest = rest.trim_end_matches(')');
            match rest.split_once('(') {
                Some(("secs", n)) => (n, " s"),
                Some(("millis", n)) => (n, " ms"),
                _ => (rest, ""),
            }
        }
    };
    format!("{}{unit}", value.replace(" * 60", " × 60"))
}
