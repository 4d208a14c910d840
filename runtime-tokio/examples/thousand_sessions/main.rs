//! One service process with a session for each of a thousand users, all running turns at once.
//!
//!     cargo run --release -p understudy-tokio --example thousand_sessions -- 1000 3 [FOLDER]
//!
//! So many sessions, and so many turns of each kind. Every user has a state folder below `FOLDER`
//! (a temporary one without it), tokens that have run out, and a callback that gets new ones. The
//! sessions share one HTTP client and one starter of programs, and are spread over the threads of
//! one runtime. The backend is this program once more, as a process of its own, so that its memory,
//! threads and descriptors are not counted.
//!
//! Fails if a message was lost, doubled or came to another user, if a turn did not complete once,
//! if a user's tokens were renewed more or less than once, or if sessions cost a thread each.

mod backend;
mod load;
mod session;

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;
use understudy_std::program::Programs;
use understudy_tokio::Http;

use load::Load;
use session::{KINDS, Served, Session};

/// Threads for the file jobs of all sessions. A job takes as long as the disk does, so more of them
/// would wait for that; without a bound tokio starts up to 512.
const FILE_THREADS: usize = 8;

/// Other threads of the process, beside one a core: the main one, and one that starts programs.
const OTHER_THREADS: usize = 2;

const SESSIONS: usize = 1000;
const TURNS: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let played = match *arguments.as_slice() {
        ["--backend", sessions] => backend::run(number(sessions).unwrap_or(SESSIONS)),
        ref settings => {
            let sessions = settings.first().map_or(Some(SESSIONS), |text| number(text));
            let turns = settings.get(1).map_or(Some(TURNS), |text| number(text));
            match (sessions, turns) {
                (Some(sessions), Some(turns)) => run(sessions, turns, settings.get(2).copied()),
                _ => Err("numbers of sessions and of turns, and a folder".into()),
            }
        }
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(sessions: usize, turns: usize, folder: Option<&str>) -> Result<(), Box<dyn Error>> {
    // Each turn that runs has a socket.
    let descriptors = load::raise_descriptor_limit()?;
    let (_backend, config) = start_backend(sessions)?;
    let scratch = tempfile::tempdir()?;
    let folder = folder.map_or(scratch.path(), Path::new);
    let homes: Vec<PathBuf> = (0..sessions).map(|n| folder.join(format!("user-{n}"))).collect();
    for home in &homes {
        fs::create_dir_all(home)?;
        fs::write(home.join("config.toml"), &config)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(FILE_THREADS)
        .build()?;
    let workers = runtime.metrics().num_workers();
    println!("{sessions} sessions on {workers} threads and {FILE_THREADS} for files");
    println!("at most {descriptors} descriptors");
    let threads = runtime.block_on(serve_all(&homes, turns))?;
    if threads > workers + FILE_THREADS + OTHER_THREADS {
        return Err(format!("{threads} threads for {sessions} sessions").into());
    }
    println!("ok: no message lost, every turn completed once, every user's tokens renewed once");
    Ok(())
}

/// The backend, which ends when its input does, and the configuration that leads to it.
fn start_backend(sessions: usize) -> Result<(Child, String), Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--backend", &sessions.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut url = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut url)?;
    let url = url.trim();
    let config = format!(
        r#"model = "pretended-model"
model_provider = "pretended"
chatgpt_base_url = "{url}/backend-api/"

[model_providers.pretended]
name = "Pretended backend"
base_url = "{url}/v1"
wire_api = "responses"
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 0

[features]
remote_models = false
"#
    );
    Ok((child, config))
}

/// How many threads the process had.
async fn serve_all(homes: &[PathBuf], turns: usize) -> Result<usize, Box<dyn Error>> {
    // For all sessions.
    let (http, programs) = (Http::new(), Programs::new());
    // Between two stages everybody meets, and this function looks at the process.
    let gate = Arc::new(Barrier::new(homes.len() + 1));
    let before = Load::now()?;
    let began = Instant::now();
    let mut tasks = Vec::new();
    for (n, home) in homes.iter().enumerate() {
        let session = Session::new(n, home.clone(), http.clone(), programs.clone());
        tasks.push(tokio::spawn(session.serve(turns, Arc::clone(&gate))));
    }
    gate.wait().await;
    println!("open after {} ms", began.elapsed().as_millis());
    load::report("with a thread each, idle", homes.len(), &before, &Load::now()?);
    let mut took = Vec::new();
    for kind in KINDS {
        gate.wait().await;
        let (began, cpu) = (Instant::now(), Load::now()?.cpu);
        gate.wait().await;
        let wall = began.elapsed();
        let now = Load::now()?;
        took.push((wall, now.cpu.saturating_sub(cpu)));
        load::report(&format!("after turns {kind}"), homes.len(), &before, &now);
    }
    let threads = Load::now()?.threads;
    gate.wait().await;

    let mut served = Vec::new();
    for task in tasks {
        served.push(task.await?.map_err(|error| error.to_string())?);
    }
    for (at, kind) in KINDS.iter().enumerate() {
        report(kind, took[at], served.iter().flat_map(|served| &served.turns[at]));
    }
    check(&served, turns)?;
    Ok(threads)
}

/// Beside how fast it went, what it cost: on a machine with other work only that tells something.
fn report<'a>(
    kind: &str,
    (wall, cpu): (Duration, Duration),
    turns: impl Iterator<Item = &'a Duration>,
) {
    let mut turns: Vec<Duration> = turns.copied().collect();
    turns.sort_unstable();
    let ms = |part: usize| {
        let at = (turns.len() * part / 100).min(turns.len().saturating_sub(1));
        turns.get(at).map_or(0.0, |turn| turn.as_secs_f64() * 1000.0)
    };
    let rate = turns.len() as f64 / wall.as_secs_f64();
    println!(
        "{} turns {kind}: {rate:.0} a second, {:.1} ms in the middle, {:.1} ms the 99th of 100, \
         {:.2} ms of a processor each",
        turns.len(),
        ms(50),
        ms(99),
        cpu.as_secs_f64() * 1000.0 / turns.len() as f64
    );
}

/// Each session has checked every message of its own; this is about what happened once.
fn check(served: &[Served], turns: usize) -> Result<(), String> {
    for Served { n, turns: ran, refreshes } in served {
        if ran.iter().any(|ran| ran.len() != turns) {
            return Err(format!("session {n} has not run all of its turns"));
        }
        if *refreshes != 1 {
            return Err(format!("the tokens of user {n} were renewed {refreshes} times"));
        }
    }
    Ok(())
}
