//! Owns: a recording that is read back. Whatever the bytes are, it is understood or refused.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::{Offset, TimeZone};

use super::clock::Tick;
use super::line::{
    AnswerLine, EndLine, GivenLine, Head, HostLine, OpLine, SetupLine, StepLine, Text, ToldLine,
    VERSION,
};
use super::note::Topic;
use super::short::{self, Short};
use crate::clock::Now;
use crate::config::Overrides;
use crate::setup::{HostFacts, Refresh, Setup};

/// A recording: what a machine was made with, and all that it was told.
#[derive(Debug)]
pub struct Recording {
    pub(super) setup: Setup,
    pub(super) seed: [u8; 32],
    pub(super) begun: Now,
    pub(super) steps: Vec<Step>,
    zone: Option<String>,
    version: String,
    end: End,
}

/// One input of a recording.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) now: Now,
    pub(super) given: Given,
    /// Stands for what came out; none if nothing did.
    pub(super) digest: Option<u32>,
}

/// What the machine is given.
#[derive(Debug)]
pub(super) enum Given {
    /// A piece of what somebody said.
    Piece(Topic, Vec<u8>),
    Whole(GivenLine),
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With the session.
    Over,
    /// Before the session, for a reason.
    Early(String),
    /// Without a word, perhaps within a line: the process that wrote it was killed.
    Torn,
}

/// Why bytes are no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the recording: {text}")]
pub struct ReadError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
}

impl Recording {
    /// The version of the program that has written it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The name of the host's time zone, if it has one. Without [`Recording::set_zone`] the zone is
    /// the one that was as far from UTC when the session began.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Gives the machine this zone, if it is as far from UTC as the recorded one at the beginning.
    pub fn set_zone(&mut self, zone: TimeZone) {
        let begun = self.begun.wall;
        if zone.to_offset(begun) == self.setup.zone.to_offset(begun) {
            self.setup.zone = zone;
        }
    }

    /// When the session began.
    pub fn begun(&self) -> Now {
        self.begun
    }

    /// From the beginning to the last step.
    pub fn length(&self) -> Duration {
        let last = self.steps.last().map_or(self.begun, |step| step.now);
        last.mono.saturating_sub(self.begun.mono)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// How it ends.
    pub fn end(&self) -> &End {
        &self.end
    }
}

/// Reads the lines that a [`Scribe`](super::Scribe) has written. A last line that is not whole is
/// left out.
///
/// # Errors
///
/// The first line, or one that others follow, is none of a recording; or a newer program has
/// written it.
pub fn read(bytes: &[u8]) -> Result<Recording, ReadError> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let (_, first) = lines.next().unwrap_or((0, b""));
    let head: Head = parsed(1, first)?;
    if head.trace != VERSION {
        let age = if head.trace > VERSION { "a newer" } else { "an older" };
        let text = format!("{age} program has written it: {}", head.understudy);
        return Err(ReadError { line: 1, text });
    }
    let mut at = head.at;
    let begun = at.now();
    let mut steps = Vec::new();
    let mut contents = Vec::new();
    let mut said = Vec::new();
    let mut end = End::Torn;
    for (number, line) in lines {
        if short::read_said(line, &mut said) {
            continue;
        }
        if line.starts_with(b"{\"end\"") && line.ends_with(b"\n") {
            let last: EndLine = parsed(number + 1, line)?;
            end = last.end.map_or(End::Over, End::Early);
            break;
        }
        let read = step(line, &mut said, &mut contents);
        let (tick, given, digest) = match read {
            Ok(step) => step,
            Err(_) if !line.ends_with(b"\n") => break,
            Err(text) => return Err(ReadError { line: number + 1, text }),
        };
        at = at.after(tick);
        steps.push(Step { now: at.now(), given, digest });
    }
    let refused = |text| ReadError { line: 1, text };
    let seed = seed(&head.seed).ok_or_else(|| refused("the seed is not 64 hex digits".into()))?;
    let (zone, version) = (head.setup.zone.clone(), head.understudy);
    let setup = setup(head.setup).map_err(refused)?;
    Ok(Recording { setup, seed, begun, steps, zone, version, end })
}

/// The step of a line in JSON or in short, and what was said before it.
fn step(
    line: &[u8],
    said: &mut Vec<u8>,
    contents: &mut Vec<Text>,
) -> Result<(Tick, Given, Option<u32>), String> {
    let said = std::mem::take(said);
    if !line.starts_with(b"{") {
        let line = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let Short { topic, tick, digest } = line.and_then(Short::parsed).ok_or("no step")?;
        return Ok((tick, Given::Piece(topic, said), digest));
    }
    if !said.is_empty() {
        return Err("a step to which nothing is said".to_owned());
    }
    let mut step: StepLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let tick = step.tick();
    find_contents(&mut step.given, contents)?;
    let digest = step.digest.map(|text| short::read_digest(&text).ok_or("no digest"));
    Ok((tick, Given::Whole(step.given), digest.transpose()?))
}

fn parsed<T: serde::de::DeserializeOwned>(line: usize, bytes: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(bytes).map_err(|error| ReadError { line, text: error.to_string() })
}

/// Puts contents that were in the recording before where their numbers are.
fn find_contents(given: &mut GivenLine, contents: &mut Vec<Text>) -> Result<(), &'static str> {
    let GivenLine::Done(_, ToldLine::Files(ops)) = given else { return Ok(()) };
    for OpLine(_, answer) in ops {
        match answer {
            AnswerLine::Bytes(text) => contents.push(text.clone()),
            AnswerLine::Same(number) => {
                let text = contents.get(*number).ok_or("contents that were never read")?;
                *answer = AnswerLine::Bytes(text.clone());
            }
            _ => {}
        }
    }
    Ok(())
}

fn seed(hex: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if hex.len() != 2 * seed.len() {
        return None;
    }
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(seed)
}

fn setup(line: SetupLine) -> Result<Setup, String> {
    let mut overrides = Overrides::parse(&line.overrides).map_err(|error| error.to_string())?;
    for name in &line.enabled {
        overrides = overrides.enable(name).map_err(|error| error.to_string())?;
    }
    for name in &line.disabled {
        overrides = overrides.disable(name).map_err(|error| error.to_string())?;
    }
    let HostLine { os, os_version, arch, terminal, shell, shell_path } = line.host;
    let offset = Offset::from_seconds(line.zone_offset).map_err(|error| error.to_string())?;
    let zone = TimeZone::fixed(offset);
    Ok(Setup {
        env: Arc::new(line.env.into_iter().collect()),
        overrides,
        host: HostFacts { os, os_version, arch, terminal, shell, shell_path },
        zone,
        refresh: if line.refresh_by_embedder { Refresh::Embedder } else { Refresh::Wire },
        refresh_limit: Duration::from_millis(line.refresh_limit_ms),
        ..Setup::new(line.home, line.cwd)
    })
}
