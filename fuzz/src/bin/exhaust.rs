//! Every script of three small alphabets around credentials, up to some depth, with every invariant
//! checked in every state: see `understudy_fuzz::auth::small_scope`.
//!
//! `exhaust [--depth N] [--alphabet hosts|own|device] [--start NAME] [--threads N]`, or with
//! `--compare N` every script of `N` symbols without leaving any out, to see that states that look the
//! same are.

use std::process::ExitCode;
use std::time::Instant;

use understudy_fuzz::auth::setting::{Keeping, Setting, Stored};
use understudy_fuzz::auth::small_scope::{DEVICE, HOSTS, Start, compare, explore};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked on the command line.
struct Wish {
    depth: usize,
    alphabet: Option<String>,
    start: Option<String>,
    threads: usize,
    compare: Option<usize>,
}

const USAGE: &str =
    "exhaust [--depth N | --compare N] [--alphabet hosts|own|device] [--start NAME] [--threads N]";

fn main() -> ExitCode {
    let wish = match wish(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    for (name, start, setting) in beginnings() {
        let alphabet = match start.alphabet() {
            symbols if symbols == HOSTS => "hosts",
            symbols if symbols == DEVICE => "device",
            _ => "own",
        };
        let is_wanted = wish.alphabet.as_ref().is_none_or(|wanted| wanted == alphabet)
            && wish.start.as_ref().is_none_or(|wanted| wanted == name);
        if is_wanted && !search(name, alphabet, start, &setting, &wish) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn wish(mut args: impl Iterator<Item = String>) -> Result<Wish, String> {
    let mut wish = Wish { depth: 7, alphabet: None, start: None, threads: 1, compare: None };
    while let Some(flag) = args.next() {
        let value = args.next().ok_or_else(|| format!("{flag} wants a value"))?;
        let number = || value.parse::<usize>().map_err(|error| format!("{flag} {value}: {error}"));
        match flag.as_str() {
            "--depth" => wish.depth = number()?,
            "--compare" => wish.compare = Some(number()?),
            "--threads" => wish.threads = number()?,
            "--alphabet" if ["hosts", "own", "device"].contains(&value.as_str()) => {
                wish.alphabet = Some(value);
            }
            "--start" if beginnings().iter().any(|(name, ..)| *name == value) => {
                wish.start = Some(value);
            }
            _ => return Err(format!("{flag} {value} is not known")),
        }
    }
    Ok(wish)
}

/// Where scripts begin, and in which setting. No retries of their own, which would only make more
/// states.
fn beginnings() -> Vec<(&'static str, Start, Setting)> {
    let plain =
        Setting { request_retries: 0, stream_retries: 0, numbers_only: true, ..Setting::default() };
    let forced = Setting { forced_workspace: true, ..plain.clone() };
    let embedder = Setting { embedder: true, keeping: Keeping::Memory, ..plain.clone() };
    let stored = Setting { stored: Stored::Managed, ..plain.clone() };
    let keyring = Setting { keeping: Keeping::Keyring, ..stored.clone() };
    vec![
        ("signed-out", Start::SignedOut, forced.clone()),
        ("two-turns", Start::TwoTurns, plain.clone()),
        ("two-turns-embedded", Start::TwoTurns, embedder),
        ("stored", Start::Stored, stored.clone()),
        ("renewing", Start::Renewing, stored.clone()),
        ("renewed", Start::Renewed, stored.clone()),
        ("renewed-keyring", Start::Renewed, keyring),
        ("browser", Start::Browser, forced.clone()),
        ("exchanging", Start::Exchanging, plain.clone()),
        ("exchanging-stored", Start::Exchanging, stored.clone()),
        ("saving", Start::Saving, stored.clone()),
        ("asking-code", Start::AskingCode, plain),
        ("typing", Start::Typing, stored),
        ("typed", Start::Typed, forced),
    ]
}

/// Searches from one beginning; whether every rule held.
fn search(name: &str, alphabet: &str, start: Start, setting: &Setting, wish: &Wish) -> bool {
    let began = Instant::now();
    println!("{name} ({alphabet}, {} symbols)", start.alphabet().len());
    if let Some(depth) = wish.compare {
        let compared = compare(setting, start, depth);
        match &compared {
            Ok((scripts, states)) => {
                println!(
                    "  compared {scripts} scripts of depth {depth}: {states} states before their last step"
                );
            }
            Err(why) => println!("{why}"),
        }
        return compared.is_ok();
    }
    let told = explore(setting, start, wish.depth, wish.threads, |depth, explored| {
        println!(
            "  depth {depth}: {} scripts, {} states, {} of them new; {:.1} s",
            explored.scripts,
            explored.states,
            explored.last,
            began.elapsed().as_secs_f64()
        );
    });
    match told {
        Ok(_) => true,
        Err(failure) => {
            println!("{}", failure.minimised());
            false
        }
    }
}
