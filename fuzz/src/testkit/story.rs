//! What happened on a stage, for people.

use std::fmt::Write;
use std::time::Duration;

/// Who did it, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The host, to the server.
    Host,
    /// The server, to the host.
    Says,
    /// The server, to a backend.
    Asks,
    /// A backend, to the server.
    Replies,
    /// The program that embeds the machine.
    Embedder,
    /// Files.
    Files,
    /// Time.
    Clock,
    /// The server, of itself.
    Server,
}

impl Line {
    fn arrow(self) -> &'static str {
        match self {
            Line::Host => "host     ->",
            Line::Says => "host     <-",
            Line::Asks => "backend  <-",
            Line::Replies => "backend  ->",
            Line::Embedder => "embedder   ",
            Line::Files => "files      ",
            Line::Clock => "clock      ",
            Line::Server => "server     ",
        }
    }
}

/// The most of one line that is shown.
const SHOWN: usize = 400;

/// All that happened, in order.
#[derive(Debug, Default)]
pub(super) struct Story {
    lines: Vec<(Duration, Line, String)>,
    /// The beginning of a line of the host's.
    begun: Vec<u8>,
}

impl Story {
    pub(super) fn note(&mut self, at: Duration, who: Line, text: &str) {
        self.lines.push((at, who, text.to_owned()));
    }

    /// Bytes of the host, shown when their line is whole.
    pub(super) fn input(&mut self, at: Duration, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.note(at, Line::Host, String::from_utf8_lossy(&line).trim_end());
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (at, who, said) in &self.lines {
            let shown: String = said.chars().take(SHOWN).collect();
            let more = if shown.len() < said.len() { " ..." } else { "" };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:>9.3} s  {} {shown}{more}", at.as_secs_f64(), who.arrow());
        }
        if !self.begun.is_empty() {
            let _ = writeln!(text, "            (a line of the host that has no end)");
        }
        text
    }
}
