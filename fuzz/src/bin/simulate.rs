//! Plays random sessions by seed, as many as are wanted, and says what they have reached.

use std::fs;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use understudy_core::reached::Table;
use understudy_fuzz::auth::run::{INPUT_REPLAY_LINE, play_input};
use understudy_fuzz::auth::scene::Scene as Auth;
use understudy_fuzz::sessions::scene::Scene as Sessions;
use understudy_fuzz::sim::coverage;
use understudy_fuzz::sim::play::{
    Failure, Kind, Played, Script, play_again, play_aloud, play_in_bytes, play_seed,
};
use understudy_fuzz::sim::tally::Tally;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
Usage: simulate [--world auth|sessions|all] [--seeds COUNT] [--first N] [--seed N] [--threads N] \
[--verbose] [--demand] [--input FILE]

  --seeds COUNT  how many seeds each world plays (1000)
  --first N      the first of them (0)
  --seed N       plays just this one; with --verbose says what happens in it
  --input FILE   plays the session that the fuzz target `session` has made of these bytes
  --threads N    as many at a time as there are cores, unless told otherwise
  --demand       fails when a row of a table was never reached; 10000 seeds and more always do";

/// What was asked for on the command line.
struct Wishes {
    world: String,
    seeds: Range<u64>,
    is_single: bool,
    threads: usize,
    is_loud: bool,
    demands: bool,
    input: Option<PathBuf>,
}

impl Wishes {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wishes = Self {
            world: "all".to_owned(),
            seeds: 0..1000,
            is_single: false,
            threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            is_loud: false,
            demands: false,
            input: None,
        };
        let (mut first, mut count) = (0, 1000);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--world" => wishes.world = value()?,
                "--seeds" => count = number(&value()?)?,
                "--first" => first = number(&value()?)?,
                "--seed" => {
                    (first, count) = (number(&value()?)?, 1);
                    wishes.is_single = true;
                }
                "--threads" => {
                    wishes.threads = usize::try_from(number(&value()?)?.max(1)).unwrap_or(1)
                }
                "--input" => wishes.input = Some(value()?.into()),
                "--verbose" => wishes.is_loud = true,
                "--demand" => wishes.demands = true,
                _ => return Err(format!("{word} is not known")),
            }
        }
        if !["auth", "sessions", "all"].contains(&wishes.world.as_str()) {
            return Err(format!("there is no world {}", wishes.world));
        }
        wishes.seeds = first..first.saturating_add(count);
        wishes.demands |= count >= coverage::ENOUGH;
        Ok(wishes)
    }

    fn wants(&self, world: &str) -> bool {
        self.world == "all" || self.world == world
    }
}

fn number(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("{text} is no number"))
}

fn main() -> ExitCode {
    let wishes = match Wishes::read(std::env::args().skip(1)) {
        Ok(wishes) => wishes,
        Err(fault) => {
            eprintln!("{fault}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic of the machine is caught and told with its session.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(input) = &wishes.input {
        return play_file(input, wishes.is_loud);
    }
    let mut tally = Tally::default();
    let mut tables: Vec<Table> = Vec::new();
    let mut faults = Vec::new();
    let mut is_sound = true;
    if wishes.wants(Auth::NAME) {
        is_sound &= run::<Auth>(&wishes, &mut tally, &mut tables);
        faults.extend(coverage::mark_faults(&tally));
    }
    if is_sound && wishes.wants(Sessions::NAME) {
        is_sound &= run::<Sessions>(&wishes, &mut tally, &mut tables);
    }
    if !is_sound || wishes.is_single {
        return if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if wishes.world == "all" {
        tables.push(Table::Method);
    }
    faults.extend(coverage::faults(&tally, &tables));
    report_coverage(&tally, &tables, &faults, wishes.is_loud);
    match wishes.demands && !faults.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Plays all seeds in a world; whether every rule held.
fn run<K: Kind>(wishes: &Wishes, tally: &mut Tally, tables: &mut Vec<Table>) -> bool
where
    K::Setting: Send,
    K::Step: Send,
{
    let began = Instant::now();
    tables.extend(coverage::tables(K::NAME));
    if wishes.is_single && wishes.is_loud {
        return play_one_aloud::<K>(wishes.seeds.start);
    }
    let (played, failures) = play_all::<K>(wishes);
    let seconds = began.elapsed().as_secs_f64();
    let Tally { sessions, steps, faults, .. } = &played;
    let twice = wishes.seeds.clone().filter(|seed| is_played_twice(*seed)).count();
    let rate = (*sessions as f64 + twice as f64) / seconds;
    println!(
        "{}: {sessions} sessions with {steps} steps, {twice} of them played twice, in {seconds:.1} s: \
         {rate:.0} played a second on {} threads, {:.0} a second and core",
        K::NAME,
        wishes.threads,
        rate / wishes.threads as f64,
    );
    let total: u64 = faults.values().sum();
    println!("  {total} faults:");
    for (kind, count) in faults {
        println!("  {count:8} {kind}");
    }
    tally.add(&played);
    let Some(failure) = failures.into_iter().next() else { return true };
    let seed = failure.script.seed;
    println!("seed {seed}: {}: {}", failure.violation.rule, failure.violation.text);
    println!("{}\nmade small:\n{}", failure.replay_line(), failure.minimised());
    false
}

fn is_played_twice(seed: u64) -> bool {
    seed.is_multiple_of(5)
}

/// Every tenth session is played again as it was, and another tenth with other cuts.
fn play_one<K: Kind>(seed: u64) -> Result<(Script<K>, Played), Failure<K>> {
    let (script, played) = play_seed::<K>(seed)?;
    match seed % 10 {
        0 => play_again(&script, &played)?,
        5 => play_in_bytes(&script, &played)?,
        _ => {}
    }
    Ok((script, played))
}

/// Plays what a fuzzer has found.
fn play_file(path: &Path, is_loud: bool) -> ExitCode {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(fault) => {
            eprintln!("{}: {fault}", path.display());
            return ExitCode::from(2);
        }
    };
    let played = play_input(&bytes);
    let is_sound = played.is_ok();
    if is_loud {
        tell::<Auth>(played);
    } else if let Err(failure) = played {
        println!("{}", failure.minimised().told(INPUT_REPLAY_LINE));
    }
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play_one_aloud<K: Kind>(seed: u64) -> bool {
    tell(play_one::<K>(seed))
}

/// Plays a session again and says what happens in it; whether every rule held.
fn tell<K: Kind>(played: Result<(Script<K>, Played), Failure<K>>) -> bool {
    let (script, violation) = match played {
        Ok((script, _)) => (script, None),
        // What fails is told as short as it can be.
        Err(failure) => {
            let failure = failure.minimised();
            (failure.script, Some(failure.violation))
        }
    };
    println!("{:?}", script.setting);
    // Some rules compare what happens in two sessions: in one of them nothing is wrong.
    let Some(violation) = play_aloud(&script).err().or(violation) else { return true };
    println!("{}: {}", violation.rule, violation.text);
    false
}

fn play_all<K: Kind>(wishes: &Wishes) -> (Tally, Vec<Failure<K>>)
where
    K::Setting: Send,
    K::Step: Send,
{
    let next = AtomicU64::new(wishes.seeds.start);
    let has_failed = AtomicBool::new(false);
    let all = Mutex::new((Tally::default(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..wishes.threads {
            scope.spawn(|| {
                let mut own = Tally::default();
                let mut failures = Vec::new();
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= wishes.seeds.end {
                        break;
                    }
                    match play_one::<K>(seed) {
                        Ok((_, played)) => own.add(&played.tally),
                        Err(failure) => {
                            has_failed.store(true, Ordering::Relaxed);
                            failures.push(failure);
                        }
                    }
                }
                let Ok(mut all) = all.lock() else { return };
                all.0.add(&own);
                all.1.append(&mut failures);
            });
        }
    });
    let (tally, mut failures) = all.into_inner().unwrap_or_default();
    // The same seeds report the same failure, whichever thread was faster.
    failures.sort_by_key(|failure: &Failure<K>| failure.script.seed);
    (tally, failures)
}

fn report_coverage(tally: &Tally, tables: &[Table], faults: &[String], is_loud: bool) {
    println!("rows of tables of rules that were reached, of those that can be:");
    for table in Table::ALL.iter().filter(|table| tables.contains(table)) {
        let (reached, of) = coverage::reached(tally, *table);
        println!("  {reached:4} of {of:4}  {}", table.title());
        for (place, name) in table.rows().iter().enumerate().filter(|_| is_loud) {
            let sessions = tally.rows.get(&understudy_core::reached::Row(*table, place));
            println!("      {:8} {name}", sessions.copied().unwrap_or_default());
        }
    }
    println!("  {:4} marks", tally.marks.len());
    for (mark, sessions) in tally.marks.iter().filter(|_| is_loud) {
        println!("      {sessions:8} {mark}");
    }
    for fault in faults {
        println!("  {fault}");
    }
}
