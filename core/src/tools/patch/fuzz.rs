//! Fuzz body: a patch does what it says or nothing, and the diff that is shown of it is right.

use std::path::Path;

use super::diff::hunks;
use super::plan::Action;
use super::sample::{FileLine, sample};
use super::{Plan, TurnDiff, parse, plan, touched};
use crate::files::MemoryFiles;

/// Takes the data as a file and a patch for it, and as an edit whose patch is then applied.
///
/// # Panics
/// If a rule of the room is broken.
pub fn fuzz_patch(data: &[u8]) {
    as_text(data);
    as_edit(data);
}

/// The file is what stands before the first zero byte.
fn as_text(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (file, text) = data.split_at(end);
    let text = String::from_utf8_lossy(text).replace('\0', "");
    let framed = format!("*** Begin Patch\n*** Update File: f\n{text}\n*** End Patch");
    for text in [text, framed] {
        let Ok(patch) = parse(&text) else { continue };
        let files = MemoryFiles::new().with("/w/f", file).with("/w/d/g", "one\r\ntwo");
        if let Ok(plan) = plan(&files, Path::new("/w"), &patch) {
            carry_out(&files, &plan);
        }
    }
}

fn carry_out(files: &MemoryFiles, plan: &Plan) {
    assert_eq!(plan.item_changes().len(), plan.changes.len());
    assert!(touched(plan).len() >= plan.changes.len());
    let mut diff = TurnDiff::new();
    diff.begin(plan);
    if plan.commit(files).is_err() {
        return;
    }
    diff.applied(plan);
    let mut differs = false;
    for change in &plan.changes {
        if let Action::Update { old, new, .. } = &change.action {
            check_diff(old, new);
        }
        let (path, expected) = match &change.action {
            Action::Add { new, .. } | Action::Update { new, moved: None, .. } => {
                (&change.path, Some(new.to_vec()))
            }
            Action::Delete { .. } => (&change.path, None),
            Action::Update { new, moved: Some(moved), .. } => {
                assert_eq!(files.content(&change.path), None);
                (&moved.to, Some(new.to_vec()))
            }
        };
        differs |= !matches!(&change.action, Action::Add { new, replaced: Some(old) }
            | Action::Update { old, new, moved: None } if old == new);
        assert_eq!(files.content(path), expected, "{}", path.display());
    }
    assert_eq!(!diff.text(files).is_empty(), differs);
}

/// The hunks of two texts make the one of the other, with any number of lines around.
fn check_diff(old: &[u8], new: &[u8]) {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else { return };
    for context in [0, 1, 3] {
        let diff = hunks(old.as_bytes(), new.as_bytes(), context);
        assert_eq!(applied(old, &diff), new, "{diff:?}\non {old:?}");
    }
}

/// What `diff` makes of `old`: read as strictly as any reader of unified diffs.
fn applied(old: &str, diff: &str) -> String {
    let mut old = old.split_inclusive('\n');
    let (mut at, mut new) = (0, String::new());
    let mut lines = diff.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("@@ -") {
            let (from, _) = head.split_once(' ').expect("two ranges");
            let from: Vec<usize> = from.split(',').map_while(|n| n.parse().ok()).collect();
            // Of no lines it is told after which they would stand, of others which is the first.
            let is_empty = from.get(1) == Some(&0);
            let first = from.first().copied().unwrap_or_default();
            let first = if is_empty { first } else { first - 1 };
            new.extend(old.by_ref().take(first - at));
            at = first;
            continue;
        }
        let (mark, text) = line.split_at(1);
        let is_last = lines.next_if(|next| next.starts_with('\\')).is_some();
        let text = if is_last { text.strip_suffix('\n').unwrap_or(text) } else { text };
        if mark != "+" {
            assert_eq!(old.next(), Some(text), "{line:?} of {diff:?}");
            at += 1;
        }
        if mark != "-" {
            new.push_str(text);
        }
    }
    new.extend(old);
    new
}

/// Some bytes are the lines of a file, some the edit, and some say how the patch misquotes.
fn as_edit(data: &[u8]) {
    const WORDS: [&str; 8] = ["", "a", " a", "a ", "\u{2013}b", "-b", "\tc d", "+ e"];
    let mut bytes = data.iter().copied();
    let end = if bytes.next().is_some_and(|byte| byte & 1 == 1) { "\r\n" } else { "\n" };
    let mut old: Vec<FileLine> = Vec::new();
    let mut new: Vec<String> = Vec::new();
    for byte in bytes.by_ref().take(64) {
        let word = WORDS[usize::from(byte & 7)].to_owned();
        match byte >> 5 {
            0 => old.push((word, end)),
            1 => new.push(word),
            _ => {
                old.push((word.clone(), end));
                new.push(word);
            }
        }
    }
    let mut misquote = |text: &str| match bytes.next().unwrap_or(0) & 3 {
        0 => text.to_owned(),
        1 => format!("{text} "),
        2 => format!(" {text}\t"),
        _ => text.replace('\u{2013}', "-"),
    };
    let sample = sample("f", &old, &new, &mut misquote);
    let Some(patch) = sample.patch else { return };
    let text: String = old.iter().flat_map(|(text, end)| [text.as_str(), end]).collect();
    let files = MemoryFiles::new().with("/w/f", &text);
    let parsed = parse(&patch).expect("a sample parses");
    let plan = plan(&files, Path::new("/w"), &parsed).unwrap_or_else(|error| {
        panic!("{error}\n{patch}\non {text:?}");
    });
    carry_out(&files, &plan);
    let style = if old.is_empty() { "\n" } else { end };
    let lines = sample.expected.iter();
    let expected = lines.flat_map(|(text, end)| [text.as_str(), end.unwrap_or(style)]).collect();
    let found = files.content("/w/f").map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert_eq!(found, Some(expected), "{patch}\non {text:?}");
}
