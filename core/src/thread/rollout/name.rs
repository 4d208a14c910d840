//! Names of rollout files, and the folders they lie in (engine.md §8.1).

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use uuid::Uuid;

/// Folder of the threads below the state folder, by year, month and day.
pub const SESSIONS: &str = "sessions";

/// Folder of the threads that were put away, flat.
pub const ARCHIVED: &str = "archived_sessions";

/// A rollout's file name in its parts: `rollout-YYYY-MM-DDThh-mm-ss-<thread id>.jsonl`.
///
/// Ordered by time, then by id: the order of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RolloutName {
    /// When the thread began, as the clocks on the wall of that place showed it.
    pub begun: DateTime,
    /// The thread.
    pub id: Uuid,
}

impl RolloutName {
    /// The name for a thread that begins `now`, in the digits of `zone`.
    pub fn new(now: Timestamp, zone: &TimeZone, id: Uuid) -> Self {
        let begun = zone.to_datetime(now);
        // The name has whole seconds; a name and its parse are the same value.
        let begun = begun.with().subsec_nanosecond(0).build().unwrap_or(begun);
        Self { begun, id }
    }

    /// The parts of a file name; none if it is not that of a rollout.
    pub fn parse(file_name: &str) -> Option<Self> {
        let inner = file_name.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
        let (time, id) = (inner.get(..19)?, inner.get(19..)?);
        // Only the spelling with hyphens: a UUID's other spellings never stood in a name.
        let id = id.strip_prefix('-').filter(|id| id.len() == 36)?;
        Some(Self { begun: parse_time(time)?, id: Uuid::try_parse(id).ok()? })
    }

    /// The time as it stands in the name.
    pub fn time_text(&self) -> TimeText {
        TimeText(self.begun)
    }

    /// Where the file lies among the threads that were not put away.
    pub fn path_in_sessions(&self, home: &Path) -> PathBuf {
        let (begun, folder) = (self.begun, home.join(SESSIONS));
        folder
            .join(format!("{:04}", begun.year()))
            .join(format!("{:02}", begun.month()))
            .join(format!("{:02}", begun.day()))
            .join(self.to_string())
    }

    /// Where the file lies among the threads that were put away.
    pub fn path_in_archive(&self, home: &Path) -> PathBuf {
        home.join(ARCHIVED).join(self.to_string())
    }
}

impl fmt::Display for RolloutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rollout-{}-{}.jsonl", self.time_text(), self.id)
    }
}

/// A time in the spelling of names and cursors, `YYYY-MM-DDThh-mm-ss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeText(pub DateTime);

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(f, "{:04}-{:02}-{:02}", t.year(), t.month(), t.day())?;
        write!(f, "T{:02}-{:02}-{:02}", t.hour(), t.minute(), t.second())
    }
}

/// Reads `YYYY-MM-DDThh-mm-ss`.
pub fn parse_time(text: &str) -> Option<DateTime> {
    let bytes: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b'-', n1, n2, b'-', s1, s2] =
        *bytes
    else {
        return None;
    };
    let two = |tens, ones| Some(digit(tens)? * 10 + digit(ones)?);
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

fn digit(byte: u8) -> Option<i8> {
    byte.is_ascii_digit().then(|| (byte - b'0').cast_signed())
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x019c_0a11_0000_7000_8000_0000_0000_0001);

    #[test]
    fn a_name_has_the_digits_of_the_place() {
        let now: Timestamp = "2026-01-29T23:30:15.678Z".parse().expect("a time");
        let name = RolloutName::new(now, &TimeZone::fixed(Offset::constant(2)), ID);
        assert_eq!(
            name.path_in_sessions(Path::new("/h")).to_str(),
            Some(
                "/h/sessions/2026/01/30/\
                 rollout-2026-01-30T01-30-15-019c0a11-0000-7000-8000-000000000001.jsonl"
            )
        );
        assert_eq!(
            name.path_in_archive(Path::new("/h")).to_str(),
            Some(
                "/h/archived_sessions/\
                 rollout-2026-01-30T01-30-15-019c0a11-0000-7000-8000-000000000001.jsonl"
            )
        );
        assert_eq!(RolloutName::parse(&name.to_string()), Some(name));
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "rollout-2026-01-30T01-30-15-019c0a11-0000-7000-8000-000000000001.json",
            "rollout-2026-13-30T01-30-15-019c0a11-0000-7000-8000-000000000001.jsonl",
            "rollout-2026-01-30 01-30-15-019c0a11-0000-7000-8000-000000000001.jsonl",
            "rollout-2026-01-30T01-30-15-019c0a1100007000800000000000000001.jsonl",
            "rollout-2026-01-30T01-30-1\u{e9}-019c0a11-0000-7000-8000-000000000001.jsonl",
            "rollout-.jsonl",
            "notes.txt",
        ] {
            assert_eq!(RolloutName::parse(name), None, "{name}");
        }
    }
}
