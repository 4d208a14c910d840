//! Owns: `understudy demo`, a story of one server, its host and its backend, played and checked
//! in front of whoever wants to see what this program does. No account, no network.
//!
//! The server is the real one, started as a child process. Its [host](host::Host) and its
//! [backend](backend::Backend) are scripted and of use to the process tests, too.

pub mod authority;
pub mod backend;
mod caption;
pub mod host;
pub mod reply;
pub mod scratch;
mod screen;
pub mod seen;
mod story;
pub mod tokens;

use std::process::ExitCode;
use std::time::Instant;

use screen::{Screen, Verdict};
use seen::Trouble;
use story::Story;

/// Names another command than this program for the demo to play with, words set apart by blanks.
const OTHER_SERVER: &str = "UNDERSTUDY_DEMO_SERVER";

/// Plays the demo on standard output: as a transcript for a person, or with `json` every line
/// that went over the wire as a line of JSON. Succeeds if everything held that should.
pub fn run(json: bool) -> ExitCode {
    let began = Instant::now();
    let screen = Screen::stdout(json);
    let mut verdict = Verdict { checks: 0, seconds: 0.0, failed: None };
    if let Err(trouble) = play(&screen, &mut verdict.checks) {
        verdict.failed = Some(trouble.to_string());
    }
    verdict.seconds = began.elapsed().as_secs_f32();
    screen.end(&verdict);
    if verdict.failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn play(screen: &Screen, checks: &mut usize) -> Result<(), Trouble> {
    let mut story = Story::new(screen, &server_command()?)?;
    let outcome = story.play();
    *checks = story.checks_held();
    outcome.map_err(|Trouble(why)| match story.last_log_lines() {
        lines if lines.is_empty() => Trouble(why),
        lines => Trouble(format!("{why}\nThe server's last words:\n  {}", lines.join("\n  "))),
    })
}

fn server_command() -> Result<Vec<String>, Trouble> {
    if let Ok(command) = std::env::var(OTHER_SERVER) {
        return Ok(command.split_whitespace().map(str::to_owned).collect());
    }
    let this = std::env::current_exe()?;
    let this = this.into_os_string().into_string();
    let this = this.map_err(|path| Trouble(format!("the path {path:?} is no UTF-8")))?;
    Ok(vec![this, "app-server".to_owned()])
}
