//! What a machine costs that has nothing to do: a service that holds a session for each of its
//! users must know, because most of them are idle.
//!
//!     cargo run --release -p understudy-std --example idle_machines -- 100000
//!
//! Makes so many machines in this process, on this one thread, and asks the operating system how
//! much memory each has added: when it has read its configuration, when its host has said hello,
//! when its user's tokens were handed in, and when it was asked for its account. Fails above the
//! budget. Then some open a thread, to show what that adds.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io};

use jiff::Timestamp;
use serde_json::{Value, json};
use understudy_core::files::{Disk, NoKeyring};
use understudy_core::{Call, Effect, Input, Machine, Now, Outcome, Setup};
use understudy_std::OsFiles;

/// The most that one idle machine may add to the process, in bytes.
const BUDGET: u64 = 16 << 10;

/// Machines without an argument.
const COUNT: usize = 100_000;

/// So many of them open a thread at the end.
const THREADS: usize = 1000;

const CONFIG: &str = r#"
model = "scripted-model"
model_provider = "local"

[model_providers.local]
name = "Nobody"
base_url = "http://127.0.0.1:9/v1"
wire_api = "responses"
requires_openai_auth = true

[features]
remote_models = false
"#;

fn main() -> ExitCode {
    let count = std::env::args().nth(1).map_or(Ok(COUNT), |text| text.parse());
    let Ok(count) = count else {
        eprintln!("the number of machines, and nothing else");
        return ExitCode::FAILURE;
    };
    match run(count) {
        Ok(true) => {
            println!("ok: every stage is within {} KiB a machine", BUDGET >> 10);
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("FAILED: more than {} KiB a machine", BUDGET >> 10);
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every stage is within the budget.
fn run(count: usize) -> io::Result<bool> {
    let home = tempfile::tempdir()?;
    fs::write(home.path().join("config.toml"), CONFIG)?;
    let setup = Setup::new(home.path(), home.path());
    // What the process needs once, whoever is served, is not counted.
    let mut first = Session::new(&setup, 0);
    for line in [hello(), login(0), thread(), account()] {
        first.say(&line)?;
    }

    println!("{count} machines on one thread; a `Machine` has {} bytes", size_of::<Machine>());
    let mut ledger = Ledger { count, start: resident()?, is_within: true };
    let mut sessions = Vec::with_capacity(count);
    ledger.stage("loaded", || {
        sessions.extend((0..count).map(|n| Session::new(&setup, n)));
        Ok(())
    })?;
    ledger
        .stage("greeted", || sessions.iter_mut().try_for_each(|session| session.say(&hello())))?;
    ledger.stage("signed in", || {
        let mut numbered = sessions.iter_mut().enumerate();
        numbered.try_for_each(|(n, session)| session.say(&login(n)))
    })?;
    // Each is alive, and knows its own user.
    for (n, session) in sessions.iter_mut().enumerate() {
        session.say(&account())?;
        let account: Value = serde_json::from_slice(&session.heard)?;
        let email = &account["result"]["account"]["email"];
        if *email != format!("user-{n}@example.com") {
            return Err(io::Error::other(format!("machine {n} knows another user: {account}")));
        }
        session.heard = Vec::new();
    }
    ledger.stage("asked", || Ok(()))?;
    // For the record: the budget is about sessions that do not work.
    let within = ledger.is_within;
    let some = sessions.len().min(THREADS);
    let mut ledger = Ledger { count: some, start: resident()?, is_within: true };
    let mut opening = sessions.iter_mut().take(some);
    ledger.stage("thread open", || opening.try_for_each(|session| session.say(&thread())))?;
    Ok(within)
}

/// What the process has grown by.
struct Ledger {
    count: usize,
    start: u64,
    is_within: bool,
}

impl Ledger {
    fn stage(&mut self, name: &str, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let began = Instant::now();
        work()?;
        let took = began.elapsed();
        let count = self.count as u64;
        let each = resident()?.saturating_sub(self.start) / count.max(1);
        let micros = took.as_micros() / u128::from(count.max(1));
        println!("{name:<12} {each:>7} bytes each  {micros:>5} µs each");
        self.is_within &= each <= BUDGET;
        Ok(())
    }
}

/// One machine, with what its host has heard of it. A real one has streams in place of that.
struct Session {
    machine: Machine,
    heard: Vec<u8>,
}

impl Session {
    fn new(setup: &Setup, n: usize) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&n.to_le_bytes());
        let machine = Machine::new(setup.clone(), seed, now());
        let mut session = Self { machine, heard: Vec::new() };
        session.carry_out();
        session
    }

    /// One line of the host, until everything that it leads to has happened.
    fn say(&mut self, line: &Value) -> io::Result<()> {
        self.heard.clear();
        let mut text = line.to_string();
        text.push('\n');
        self.machine.handle(now(), Input::Bytes(text.as_bytes()));
        self.carry_out();
        let lines = self.heard.split(|byte| *byte == b'\n');
        let mut answers = lines.filter(|line| line.starts_with(br#"{"id":"#));
        if answers.next().is_none() {
            let heard = String::from_utf8_lossy(&self.heard).into_owned();
            return Err(io::Error::other(format!("no answer to {line}: {heard}")));
        }
        if line["method"] != "account/read" {
            self.heard = Vec::new();
        }
        Ok(())
    }

    fn carry_out(&mut self) {
        let disk = Disk { files: &OsFiles, keyring: &NoKeyring };
        let mut answers = VecDeque::new();
        loop {
            while let Some(effect) = self.machine.poll_effect() {
                match effect {
                    Effect::Send => {
                        let pending = self.machine.pending_output();
                        self.heard.extend_from_slice(pending);
                        let n = pending.len();
                        self.machine.wrote(n);
                    }
                    Effect::Start(id, call) => answers.push_back(match *call {
                        Call::Files(job) => (id, Outcome::Files(Box::new(job.run(disk)))),
                        // There is no network here, and no program is run.
                        _ => (id, Outcome::Lost),
                    }),
                    _ => {}
                }
            }
            let Some((id, outcome)) = answers.pop_front() else { break };
            self.machine.handle(now(), Input::Done(id, outcome));
        }
    }
}

fn now() -> Now {
    Now::new(Duration::ZERO, Timestamp::UNIX_EPOCH)
}

fn hello() -> Value {
    let info = json!({"name": "service", "title": "A service", "version": "1.0.0"});
    json!({"id": 1, "method": "initialize", "params": {"clientInfo": info}})
}

/// Tokens as large as real ones.
fn login(n: usize) -> Value {
    let claims = json!({
        "email": format!("user-{n}@example.com"),
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": "pro", "chatgpt_account_id": format!("org-{n}"),
        },
        "padding": "x".repeat(600),
    });
    let part = |text: &str| base64_url(text.as_bytes());
    let id = format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(&claims.to_string()), part("s"));
    let access = format!("access-{n}-{}", "x".repeat(1500));
    let params = json!({"type": "chatgptAuthTokens", "idToken": id, "accessToken": access});
    json!({"id": 2, "method": "account/login/start", "params": params})
}

fn thread() -> Value {
    json!({"id": 3, "method": "thread/start", "params": {}})
}

fn account() -> Value {
    json!({"id": 4, "method": "account/read", "params": {}})
}

fn base64_url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let whole = group.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
        let whole = whole << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(LETTERS[(whole >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// Memory of this process that is in RAM, in bytes. A page has 4 KiB on the systems that are
/// served.
fn resident() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map(|pages| pages * 4096).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
