//! Owns: the demo's output: three lanes with arrows between them, or lines of JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use super::backend::locked;
use super::caption::{Caption, Captions, Way};
use super::seen::Seen;

/// Columns between host and server, and between server and backend; 79 with the lanes.
const LEFT: usize = 43;
const RIGHT: usize = 31;
const TEXT_WIDTH: usize = 77;

/// Where the story is told. Clones tell the same story.
#[derive(Clone)]
pub(super) struct Screen(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    style: Style,
    captions: Captions,
    left_out: usize,
    lanes_shown: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Json,
    Plain,
    Colour,
}

#[derive(Clone, Copy)]
enum Paint {
    Heading,
    Dim,
    Host,
    Server,
    Backend,
    Good,
    Bad,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Heading => "1",
            Paint::Dim => "2",
            Paint::Host => "36",
            Paint::Server => "33",
            Paint::Backend => "35",
            Paint::Good => "32",
            Paint::Bad => "31",
        }
    }
}

impl Screen {
    pub(super) fn stdout(json: bool) -> Self {
        let style = if json {
            Style::Json
        } else if wants_colour(|name| std::env::var(name).ok(), io::stdout().is_terminal()) {
            Style::Colour
        } else {
            Style::Plain
        };
        Self::new(Box::new(io::stdout()), style)
    }

    fn new(out: Box<dyn Write + Send>, style: Style) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            out,
            style,
            captions: Captions::default(),
            left_out: 0,
            lanes_shown: false,
        })))
    }

    /// Shows one fact.
    pub(super) fn fact(&self, fact: &Seen) {
        let mut inner = locked(&self.0);
        if inner.style == Style::Json {
            if let Some(line) = fact.to_json() {
                inner.line(&line);
            }
            return;
        }
        match inner.captions.of(fact) {
            Some(caption) => inner.draw(&caption),
            None => inner.left_out += 1,
        }
    }

    /// Opens a chapter: what happens now, and why.
    pub(super) fn chapter(&self, title: &str, why: &str) {
        let mut inner = locked(&self.0);
        if inner.style == Style::Json {
            return;
        }
        inner.lanes_shown = false;
        let heading = inner.paint(Paint::Heading, title);
        inner.line("");
        inner.line(&heading);
        for line in wrapped(why, TEXT_WIDTH) {
            inner.line(&line);
        }
    }

    /// Says that something that must hold does hold.
    pub(super) fn holds(&self, what: &str) {
        let mut inner = locked(&self.0);
        if inner.style == Style::Json {
            return;
        }
        let mark = inner.paint(Paint::Good, "✓");
        for (i, line) in wrapped(what, TEXT_WIDTH - 4).iter().enumerate() {
            let start = if i == 0 { &mark } else { " " };
            inner.line(&format!("  {start} {line}"));
        }
    }

    /// The last words.
    pub(super) fn end(&self, verdict: &Verdict) {
        let mut inner = locked(&self.0);
        if inner.style == Style::Json {
            let line = verdict.to_json();
            inner.line(&line);
            return;
        }
        let (paint, text) = match &verdict.failed {
            None => (
                Paint::Good,
                format!(
                    "All {} checks held, in {:.2} s.",
                    verdict.checks, verdict.seconds
                ),
            ),
            Some(why) => (
                Paint::Bad,
                format!("FAILED after {:.2} s: {why}", verdict.seconds),
            ),
        };
        inner.line("");
        if verdict.failed.is_none() && inner.left_out > 0 {
            let note = format!(
                "{} more notifications and events are not drawn; --json prints every line.",
                inner.left_out
            );
            let note = inner.paint(Paint::Dim, &note);
            inner.line(&note);
        }
        let text = inner.paint(paint, &text);
        inner.line(&text);
    }
}

/// How the demo went.
pub(super) struct Verdict {
    pub(super) checks: usize,
    pub(super) seconds: f32,
    pub(super) failed: Option<String>,
}

impl Verdict {
    fn to_json(&self) -> String {
        let ok = self.failed.is_none();
        let why = self
            .failed
            .as_deref()
            .map_or(serde_json::Value::Null, Into::into);
        format!(
            r#"{{"from":"demo","ok":{ok},"checks":{},"seconds":{:.3},"error":{why}}}"#,
            self.checks, self.seconds
        )
    }
}

impl Inner {
    /// A reader that went away (`| head`) must not end the demo in the middle: nothing is done
    /// about a line that cannot be written.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        match self.style {
            Style::Colour => format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()),
            Style::Plain | Style::Json => text.to_owned(),
        }
    }

    fn draw(&mut self, caption: &Caption) {
        if !std::mem::replace(&mut self.lanes_shown, true) {
            let host = self.paint(Paint::Host, "host");
            let server = self.paint(Paint::Server, "server");
            let backend = self.paint(Paint::Backend, "backend");
            self.line("");
            self.line(&format!(
                " {host}{:gap$}{server}{:rest$}{backend}",
                "",
                "",
                gap = LEFT - 6,
                rest = RIGHT - 8
            ));
        }
        let arrow = arrow(caption);
        self.between(caption, &arrow, true);
        let width = if left_side(caption.way) { LEFT } else { RIGHT } - 3;
        for detail in &caption.details {
            for line in wrapped(detail, width) {
                self.between(caption, &format!("  {line}"), false);
            }
        }
    }

    /// One line: the lanes, and a text in the gap that the message crosses.
    fn between(&mut self, caption: &Caption, text: &str, is_arrow: bool) {
        let paint = match (caption.is_error, caption.way) {
            (true, _) => Paint::Bad,
            (_, _) if !is_arrow => Paint::Dim,
            (_, Way::HostToServer) => Paint::Host,
            (_, Way::ServerToHost | Way::ServerToBackend) => Paint::Server,
            (_, Way::BackendToServer) => Paint::Backend,
        };
        let lane = self.paint(Paint::Dim, "│");
        let gap = |this: &Self, text: Option<&str>, width: usize| match text {
            Some(text) => {
                let fill = " ".repeat(width.saturating_sub(text.chars().count()));
                this.paint(paint, text) + &fill
            }
            None => " ".repeat(width),
        };
        let on_left = left_side(caption.way);
        let left = gap(self, on_left.then_some(text), LEFT);
        let right = gap(self, (!on_left).then_some(text), RIGHT);
        self.line(&format!("  {lane}{left}{lane}{right}{lane}"));
    }
}

fn left_side(way: Way) -> bool {
    matches!(way, Way::HostToServer | Way::ServerToHost)
}

/// ` title ─────▶` or `◀───── title `, as wide as the gap.
fn arrow(caption: &Caption) -> String {
    let width = if left_side(caption.way) { LEFT } else { RIGHT };
    let title = cut(&caption.title, width - 6);
    let shaft = "─".repeat(width - 3 - title.chars().count());
    match caption.way {
        Way::HostToServer | Way::ServerToBackend => format!(" {title} {shaft}▶"),
        Way::ServerToHost | Way::BackendToServer => format!("◀{shaft} {title} "),
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// The text in lines of at most `width`, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `NO_COLOR` beats `CLICOLOR_FORCE`, which beats what the output is.
fn wants_colour(var: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let filled = |name: &str| var(name).filter(|value| !value.is_empty());
    if filled("NO_COLOR").is_some() {
        return false;
    }
    match filled("CLICOLOR_FORCE").as_deref() {
        Some("0") | None => is_terminal && filled("TERM").as_deref() != Some("dumb"),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_fills_its_gap_whatever_the_title() {
        let ways = [Way::HostToServer, Way::ServerToHost, Way::ServerToBackend];
        for way in ways.into_iter().chain([Way::BackendToServer]) {
            for title in ["", "ok", &"x".repeat(200)] {
                let caption = Caption {
                    way,
                    title: title.to_owned(),
                    details: vec![],
                    is_error: false,
                };
                let width = if left_side(way) { LEFT } else { RIGHT };
                assert_eq!(arrow(&caption).chars().count(), width, "{caption:?}");
            }
        }
    }

    #[test]
    fn colour_follows_the_conventions() {
        let check = |vars: &[(&str, &str)], is_terminal, expected| {
            let var = |name: &str| {
                vars.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.to_string())
            };
            assert_eq!(
                wants_colour(var, is_terminal),
                expected,
                "{vars:?} {is_terminal}"
            );
        };
        check(&[], true, true);
        check(&[], false, false);
        check(&[("CLICOLOR_FORCE", "1")], false, true);
        check(&[("CLICOLOR_FORCE", "0")], false, false);
        check(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false);
        check(&[("NO_COLOR", "")], true, true);
        check(&[("TERM", "dumb")], true, false);
    }

    #[test]
    fn words_are_kept_whole() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), Vec::<String>::new());
    }
}
