//! When two sessions are in the same state: one text for all that may decide how a session goes on,
//! with names and numbers that grow replaced by the order in which they appear.
//!
//! It is made of what the machine holds, what the world around it holds and what the model knows.
//! A secret of the machine and the same token in the model's hands have the same name, so that a
//! machine that holds another token than it should is in another state. What is left out is said
//! where it is left out: [`understudy_core::State`], the states of world and model, and here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use understudy_core::Secret;

use super::scene::Scene;
use super::tokens::MARKS;
use crate::world::wall;

/// How exactly times have to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// No step lets more time pass than this in all: what is due later is due at no time, and no age
    /// reaches its limit.
    Within(Duration),
    /// Steps go from timer to timer: to the second, and in their order. Delays that are drawn differ
    /// by less.
    InOrder,
}

impl Times {
    /// A time until something is due.
    pub fn show(self, time: Duration) -> String {
        match self {
            Times::Within(all) if time > all => "later".to_owned(),
            Times::Within(_) => format!("{}ms in", time.as_millis()),
            Times::InOrder => format!("{} in", (time.as_millis() + 500) / 1000),
        }
    }

    /// Time since something, of which only a limit beyond any script of [`Times::Within`] matters.
    pub fn show_age(self, time: Duration) -> String {
        match self {
            Times::Within(_) => "lately".to_owned(),
            Times::InOrder => self.show(time),
        }
    }
}

/// A number that stands for the state of a session.
pub fn fingerprint(scene: &Scene, times: Times) -> u128 {
    let text = text(scene, times);
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, text.as_bytes()).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// The state of a session as text.
pub fn text(scene: &Scene, times: Times) -> String {
    let (world, model) = (&scene.world, &scene.model);
    let mut raw = String::with_capacity(1 << 13);
    // Writing to a string does not fail.
    let _ = write!(raw, "{:+?}\n{:+?}\n", world.machine().state(), world.state(|t| times.show(t)));
    let _ = write!(raw, "{:+?}\n{:?}\n", model.state(times), scene.auth_file());
    let turns = scene.grammar.running().count();
    let _ = write!(raw, "open {} {turns}", scene.grammar.unanswered().len());
    let words: Vec<_> = words(&raw).collect();
    Names::new(times, world.mono(), &words).in_order(&words, raw.len())
}

/// Members that only count.
const COUNTERS: [&str; 3] = ["next_waiting", "next", "hits"];
/// What stands before a number that is a name.
const NUMBERED: [&str; 9] = [
    "AskId",
    "CallId",
    "CommandId",
    "Errand",
    "Generation",
    "Number",
    "Request",
    "TimerId",
    "VisitId",
];
/// Members that are tables by number, and what the numbers are.
const TABLES: [(&str, &str); 2] = [("errands", "Errand"), ("waiting", "Request")];

/// Gives names in the order in which they appear.
struct Names {
    times: Times,
    now: Duration,
    seen: BTreeMap<(&'static str, String), usize>,
    moments: Vec<Timestamp>,
}

impl Names {
    fn new(times: Times, now: Duration, words: &[(&str, &str)]) -> Self {
        let mut moments: Vec<_> = words.iter().filter_map(|(word, _)| moment(word)).collect();
        moments.sort();
        moments.dedup();
        Self { times, now, seen: BTreeMap::new(), moments }
    }

    fn in_order(mut self, words: &[(&str, &str)], length: usize) -> String {
        let mut out = String::with_capacity(length);
        // The last member's name, and the word before with what stands between.
        let (mut member, mut before) = ("", "");
        let mut is_quoted = false;
        for (word, rest) in words.iter().copied() {
            // A model keeps the id of a request as text.
            let behind = rest.as_bytes();
            let ends_quoted = is_quoted && behind.first() == Some(&b'"');
            let before_it = if ends_quoted { "Number" } else { before };
            let is_number = self.put(&mut out, word, member, before_it, rest);
            is_quoted = behind.last() == Some(&b'"');
            if !is_number && matches!(behind, [b':', b' ', ..]) {
                member = word;
            }
            before = if matches!(behind, b"(") { word } else { "" };
            out.push_str(rest);
        }
        out
    }

    /// Puts a word, or what stands for it; whether it was a number.
    fn put(
        &mut self,
        out: &mut String,
        word: &str,
        member: &str,
        before: &str,
        rest: &str,
    ) -> bool {
        let bare = word.strip_prefix('+').unwrap_or(word);
        let is_number = bare.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if let Some(mark) = word.strip_prefix("***") {
            self.name(out, "secret", mark);
        } else if is_uuid(word) {
            self.name(out, "id", word);
        } else if let Some(moment) = moment(word) {
            self.moment(out, moment);
        } else if is_made_up(word) {
            let mark = format!("{:016x}", Secret::new(word).mark());
            self.name(out, "secret", &mark);
        } else if is_number {
            self.put_number(out, bare, member, before, rest);
        } else {
            out.push_str(word);
        }
        is_number
    }

    fn put_number(
        &mut self,
        out: &mut String,
        number: &str,
        member: &str,
        before: &str,
        rest: &str,
    ) {
        let is_count = number.bytes().all(|byte| byte.is_ascii_digit());
        let table = || TABLES.iter().find(|(table, _)| *table == member).map(|(_, kind)| *kind);
        let kind = NUMBERED.into_iter().find(|kind| *kind == before);
        let kind = kind.or_else(|| rest.starts_with(": ").then(table).flatten());
        match kind.filter(|_| is_count) {
            Some(kind) => self.name(out, kind, number),
            None if is_count && COUNTERS.contains(&member) => {}
            None => match (member, duration(number)) {
                ("heard", Some(at)) => {
                    out.push_str(&self.times.show_age(self.now.saturating_sub(at)));
                }
                ("not_before", Some(at)) => {
                    out.push_str(&self.times.show(at.saturating_sub(self.now)));
                }
                _ => out.push_str(number),
            },
        }
    }

    fn name(&mut self, out: &mut String, kind: &'static str, text: &str) {
        let next = self.seen.len();
        let name = *self.seen.entry((kind, text.to_owned())).or_insert(next);
        let _ = write!(out, "#{name}");
    }

    /// Moments of the calendar are compared with each other, and with an age of days.
    fn moment(&self, out: &mut String, moment: Timestamp) {
        let rank = self.moments.binary_search(&moment).unwrap_or_default();
        let age = wall(self.now).duration_since(moment);
        let _ = write!(out, "@{rank}{}", if age.as_hours() > 24 { " old" } else { "" });
    }
}

/// The words of a text, each with what stands behind it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = end_of_word(rest);
        // A colon belongs to a moment of the calendar: `2027-01-15T08:00:00Z`.
        let end = match rest.as_bytes().get(end..end + 7) {
            Some([b':', _, _, b':', ..]) if end == 13 => {
                end + 7 + end_of_word(rest.get(end + 7..).unwrap_or_default())
            }
            _ => end,
        };
        let (word, behind) = rest.split_at(end);
        let next = behind.bytes().position(is_part).unwrap_or(behind.len());
        let (between, further) = behind.split_at(next);
        rest = further;
        Some((word, between))
    })
}

fn end_of_word(text: &str) -> usize {
    text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len())
}

/// Whether a byte belongs to a word.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'*' | b'@' | b'%' | b'~' | 0x80..)
}

/// Whether a word was made up for this session: a token, a code, an address, a random secret.
fn is_made_up(word: &str) -> bool {
    let is_counted = |mark: &str| {
        let rest = word.strip_prefix(mark);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
    };
    match word.as_bytes() {
        bytes if RANDOM.contains(&bytes.len()) => true,
        [b'e', b'y', b'J', ..] => true,
        [b'x' | b's' | b'm' | b'p' | b'd' | b'c' | b'u' | b'r', _, _, _, ..] => {
            MARKS.into_iter().chain(MADE_UP).any(is_counted)
        }
        _ => false,
    }
}

/// Beginnings of other words that are made up.
const MADE_UP: [&str; 5] = ["code-", "user-", "managed-", "resp-", "msg-"];
/// Lengths of 32 and of 64 random bytes in base64.
const RANDOM: [usize; 2] = [43, 86];

fn is_uuid(word: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| (byte == b'-') == dashes.contains(&at))
}

/// A moment of the calendar: `2027-01-15T08:00:00Z`.
fn moment(word: &str) -> Option<Timestamp> {
    let is_date = word.len() >= 20 && word.as_bytes()[10] == b'T';
    if is_date { word.parse().ok() } else { None }
}

/// A time as `Debug` shows it.
fn duration(word: &str) -> Option<Duration> {
    let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
    let number: f64 = digits.parse().ok()?;
    let unit = match &word[digits.len()..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number * unit))
}
