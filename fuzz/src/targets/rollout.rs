//! The file of a thread, read back: in pieces of any size the same; what is asked for besides
//! changes nothing; a history that was written again is the same; a torn end is made good.

use std::path::Path;

use jiff::Timestamp;
use understudy_core::files::{IfMissing, MemoryFiles};
use understudy_core::thread::rollout::head::Head;
use understudy_core::thread::rollout::line::NewLine;
use understudy_core::thread::rollout::read::{Line, LineReader, append};
use understudy_core::thread::rollout::rebuild::{RebuildError, RebuildJob, Rebuilt};
use understudy_core::wire::v2::turn::TurnStatus;

use super::headed;

const PATH: &str =
    "/h/sessions/2027/01/15/rollout-2027-01-15T08-00-00-0190a000-0000-7000-8000-000000000001.jsonl";

/// The first byte says in pieces of which size the file is read.
pub fn rollout(data: &[u8]) {
    let (piece, text) = headed(data);
    let files = MemoryFiles::new().with(PATH, text);
    let path = Path::new(PATH);
    let lines = lines(&files, 1 << 20);
    assert_eq!(lines, self::lines(&files, usize::from(piece) + 1), "in pieces of {piece}");
    assert_eq!(lines.concat(), text, "every byte is in a line");
    let head = Head::read(&files, path).expect("the file is there");
    let all = match rebuilt(&files, [true; 3]) {
        Ok(all) => all,
        Err(error) => return assert!(head.is_none() || error != RebuildError::NoMeta, "{error}"),
    };
    let meta = head.map(|head| head.meta).expect("what can be rebuilt has a head");
    assert_eq!((&meta.id, &meta.cwd), (&all.meta.id, &all.meta.cwd));
    check_parts(&files, &all);
    check_size(text, &all);
    check_again(&all);
    check_appended(&files, &all);
}

fn rebuilt(files: &MemoryFiles, wants: [bool; 3]) -> Result<Rebuilt, RebuildError> {
    let [wants_history, wants_turns, wants_events] = wants;
    let job = RebuildJob {
        path: PATH.into(),
        initial_context: Vec::new(),
        default_provider: "openai".to_owned(),
        wants_history,
        wants_turns,
        wants_events,
    };
    job.run(files, |_| ())
}

/// The lines with their ends, read so many bytes at a time.
fn lines(files: &MemoryFiles, piece: usize) -> Vec<Vec<u8>> {
    let mut reader = LineReader::new(files, Path::new(PATH), piece);
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().expect("the file is there") {
        match line {
            Line::Whole(line) => lines.push([line, b"\n"].concat()),
            Line::Rest(line) => lines.push(line.to_vec()),
            Line::TooLong => panic!("no line is so long"),
        }
    }
    lines
}

/// What is asked for does not depend on what else is.
fn check_parts(files: &MemoryFiles, all: &Rebuilt) {
    let part = |wants| rebuilt(files, wants).expect("it could be read with all");
    assert_eq!(part([true, false, false]).history, all.history);
    assert_eq!(part([false, true, false]).turns, all.turns);
    assert_eq!(part([false, false, true]).events, all.events);
    let nothing = part([false; 3]);
    assert_eq!((&nothing.meta, &nothing.last_model), (&all.meta, &all.last_model));
    assert_eq!(nothing.token_info, all.token_info);
}

/// There is no more than the file has, and nothing runs.
fn check_size(text: &[u8], all: &Rebuilt) {
    let history: usize = all.history.iter().map(|item| item.len()).sum();
    // An item may gain members that it lacks and that stand for nothing.
    assert!(history <= 4 * text.len() + 1024, "{history} bytes of {}", text.len());
    let runs = all.turns.iter().any(|turn| turn.status == TurnStatus::InProgress);
    assert!(!runs, "{:?}", all.turns);
}

/// The history in a file of its own reads back as it is.
fn check_again(all: &Rebuilt) {
    let mut text = Vec::new();
    NewLine::SessionMeta(&all.meta).write(Timestamp::UNIX_EPOCH, &mut text);
    for item in &all.history {
        NewLine::RawItem(item).write(Timestamp::UNIX_EPOCH, &mut text);
    }
    let again = rebuilt(&MemoryFiles::new().with(PATH, text), [true; 3]).expect("it was written");
    assert_eq!(again.history, all.history);
    assert_eq!((again.meta, again.undecodable, again.ends_torn), (all.meta.clone(), 0, false));
}

/// A line that is added is read, and takes nothing from those before it.
fn check_appended(files: &MemoryFiles, all: &Rebuilt) {
    const ITEM: &str =
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"more"}]}"#;
    let mut line = Vec::new();
    NewLine::RawItem(ITEM).write(Timestamp::UNIX_EPOCH, &mut line);
    append(files, Path::new(PATH), &line, IfMissing::Fail).expect("the file is there");
    let longer = rebuilt(files, [true; 3]).expect("it could be read before");
    let (last, before) = longer.history.split_last().expect("the item that was added");
    assert_eq!((&**last, before), (ITEM, all.history.as_slice()));
    assert_eq!((longer.undecodable, longer.ends_torn), (all.undecodable, false));
    assert_eq!(longer.events, all.events);
}
