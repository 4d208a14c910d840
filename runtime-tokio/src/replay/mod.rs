//! Owns: `understudy replay`: a recorded session played again in the machine alone.

mod chart;
mod page;

use std::fs;
use std::io::{BufWriter, Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use understudy_core::trace::{Difference, End, Played, Recording, Replay};
use understudy_std::{read_recording, read_recording_lines};

use crate::cli;
use chart::{Chart, Entry};

/// The recording cannot be read, or the page cannot be written.
const UNUSABLE: u8 = 2;
/// Characters of a message that `--print` shows.
const SHOWN_CHARS: usize = 200;

/// Plays a recording and says what became of it: status 1 if it went another way.
pub(crate) fn run(wanted: &cli::Replay) -> ExitCode {
    let done = if wanted.lines { show_lines(&wanted.file) } else { replay(wanted) };
    match done {
        Ok(code) => code,
        Err(text) => {
            // Nothing can be said to a closed stream.
            let _closed = writeln!(stderr(), "Error: {text}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// What came of a replay.
struct Verdict {
    /// Steps that were played.
    played: usize,
    difference: Option<(usize, Difference)>,
}

/// Unpacks the recording, to be looked at or changed.
fn show_lines(file: &Path) -> Result<ExitCode, String> {
    let lines = read_recording_lines(file);
    let lines = lines.map_err(|error| format!("{}: {error}", file.display()))?;
    // Whoever reads may have seen enough.
    let _closed = stdout().lock().write_all(&lines);
    Ok(ExitCode::SUCCESS)
}

fn replay(wanted: &cli::Replay) -> Result<ExitCode, String> {
    let recording = read_recording(&wanted.file)?;
    let mut out = BufWriter::new(stdout().lock());
    let mut chart = Chart::default();
    let mut entries = Vec::new();
    let begun = Instant::now();
    let last = wanted.until.unwrap_or(usize::MAX);
    let shows = wanted.print || wanted.html.is_some();
    let mut machine = Replay::new(&recording);
    let mut verdict = Verdict { played: 0, difference: None };
    while verdict.played <= last
        && verdict.difference.is_none()
        && let Some(played) = machine.play()
    {
        verdict.played += 1;
        let fresh = if shows { chart.entries(&recording, &played) } else { Vec::new() };
        if wanted.print {
            let written = fresh.iter().try_for_each(|entry| writeln!(out, "{}", line(entry)));
            // Whoever reads has seen enough.
            if written.is_err() {
                return Ok(ExitCode::SUCCESS);
            }
        }
        if wanted.html.is_some() {
            entries.extend(fresh);
        }
        let Played { step, difference, .. } = played;
        verdict.difference = difference.map(|difference| (step, difference));
    }
    let took = begun.elapsed();
    if let Some(path) = &wanted.html {
        write_page(path, &page::page(&recording, &entries, &verdict))?;
    }
    let mut text = summary(&recording);
    text.push_str(&verdict.text(took, recording.len()));
    if wanted.until.is_some() {
        machine.open().iter().for_each(|open| text.push_str(&format!("  open: {open}\n")));
    }
    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(ExitCode::from(u8::from(verdict.difference.is_some())))
}

fn write_page(path: &Path, page: &str) -> Result<(), String> {
    fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))
}

/// What was recorded, in a line or two.
fn summary(recording: &Recording) -> String {
    let begun = recording.begun().wall;
    let mut text = format!(
        "{} steps of understudy {}, begun {begun:.0}, {:.1} s long\n",
        recording.len(),
        recording.version(),
        recording.length().as_secs_f64(),
    );
    match recording.end() {
        End::Over => {}
        End::Early(reason) => text.push_str(&format!("recorded in part: {reason}\n")),
        End::Torn => text.push_str("the end is missing: whoever wrote it was stopped\n"),
    }
    text
}

impl Verdict {
    fn text(&self, took: std::time::Duration, steps: usize) -> String {
        match &self.difference {
            Some((step, difference)) => format!("step {step}: {difference}\n"),
            None if self.played < steps => {
                format!("the same up to step {}, in {took:.1?}\n", self.played.saturating_sub(1))
            }
            None => format!("the same in all {} steps, in {took:.1?}\n", self.played),
        }
    }
}

/// One line for an entry.
fn line(entry: &Entry) -> String {
    let mut text =
        format!("#{} {:.6}  {}  {}", entry.step, entry.at.as_secs_f64(), entry.way(), entry.title);
    if !entry.detail.is_empty() {
        let flat: String = entry.detail.chars().take(SHOWN_CHARS).collect();
        text.push_str("  ");
        text.extend(flat.chars().map(|c| if c.is_control() { ' ' } else { c }));
        if flat.len() < entry.detail.len() {
            text.push('…');
        }
    }
    if let Some(difference) = &entry.difference {
        text.push_str(&format!("\n#{} DIFFERS: {difference}", entry.step));
    }
    text
}
