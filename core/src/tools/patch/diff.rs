//! What a plan looks like to clients (engine.md §6.6).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::plan::{Action, Change, Plan};
use crate::limits;
use crate::wire::legacy::approval::FileChange;
use crate::wire::v2::item::{FileUpdateChange, PatchChangeKind};

/// Lines of context in the diff of an item (engine.md §6.6).
const ITEM_CONTEXT: usize = 1;

/// What stands for a content that is no text.
const BINARY: &str = "Binary files differ\n";

impl Plan {
    /// The changes of the item, sorted by path.
    pub(crate) fn item_changes(&self) -> Vec<FileUpdateChange> {
        self.changes.iter().map(Change::item_change).collect()
    }

    /// The same for the older dialect.
    pub(crate) fn legacy_changes(&self) -> BTreeMap<String, FileChange> {
        self.changes.iter().map(Change::legacy_change).collect()
    }

    /// Every path of the patch as it names them, made absolute, links not followed. An approval
    /// for the session is about these (engine.md §4.6).
    pub(crate) fn named(&self) -> Vec<PathBuf> {
        self.seen.iter().map(|seen| seen.path.clone()).collect()
    }
}

/// Every path that a plan would write or remove, where it really is: links are followed, and for a
/// link that goes, the link itself counts, too. Writable roots must be compared with links
/// followed as well. Sorted.
pub(crate) fn touched(plan: &Plan) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        plan.seen.iter().flat_map(|seen| [seen.entry.clone(), seen.target.clone()]).collect();
    paths.sort();
    paths.dedup();
    paths
}

impl Change {
    fn item_change(&self) -> FileUpdateChange {
        let (kind, diff) = match self.legacy_change().1 {
            FileChange::Add { content } => (PatchChangeKind::Add, content),
            FileChange::Delete { content } => (PatchChangeKind::Delete, content),
            FileChange::Update { mut unified_diff, move_path } => {
                if let Some(to) = &move_path {
                    unified_diff.extend(["\n\nMoved to: ", to]);
                }
                (PatchChangeKind::Update { move_path }, unified_diff)
            }
        };
        FileUpdateChange { path: shown(&self.path), kind, diff }
    }

    fn legacy_change(&self) -> (String, FileChange) {
        let content = |bytes: &[u8]| {
            std::str::from_utf8(bytes).map_or_else(|_| BINARY.to_owned(), str::to_owned)
        };
        let change = match &self.action {
            Action::Add { new, .. } => FileChange::Add { content: content(new) },
            Action::Delete { old } => FileChange::Delete { content: content(old) },
            Action::Update { old, new, moved } => FileChange::Update {
                unified_diff: hunks(old, new, ITEM_CONTEXT),
                move_path: moved.as_ref().map(|moved| shown(&moved.to)),
            },
        };
        (shown(&self.path), change)
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The hunks of a unified diff, or [`BINARY`]; nothing if there is no difference.
pub(super) fn hunks(old: &[u8], new: &[u8], context: usize) -> String {
    if old == new {
        return String::new();
    }
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
        return BINARY.to_owned();
    };
    // Lines end with a line feed and nothing else: a carriage return is part of its line.
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let ops = operations(&old, &new);
    let mut out = String::new();
    for group in group_diff_ops(ops, context) {
        hunk(&mut out, &group, &old, &new);
    }
    out
}

/// What makes the new lines of the old. Where too much differs it is told as one replacement: the
/// time for finding something better grows faster than the files.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.iter().skip(head).rev(), new.iter().skip(head).rev());
    let tail = old_rest.zip(new_rest).take_while(|(a, b)| a == b).count();
    let (old_len, new_len) = (old.len() - head - tail, new.len() - head - tail);
    if old_len + new_len <= limits::DIFF_LINES_MAX {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let equal = |old_index, new_index, len| DiffOp::Equal { old_index, new_index, len };
    vec![
        equal(0, 0, head),
        DiffOp::Replace { old_index: head, old_len, new_index: head, new_len },
        equal(head + old_len, head + new_len, tail),
    ]
}

fn hunk(out: &mut String, ops: &[DiffOp], old: &[&str], new: &[&str]) {
    let (Some(first), Some(last)) = (ops.first(), ops.last()) else { return };
    let range = |start: usize, end: usize| match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        length => format!("{},{length}", start + 1),
    };
    let old_range = range(first.old_range().start, last.old_range().end);
    let new_range = range(first.new_range().start, last.new_range().end);
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "@@ -{old_range} +{new_range} @@");
    for op in ops {
        let removed = old.get(op.old_range()).unwrap_or_default();
        let added = new.get(op.new_range()).unwrap_or_default();
        if let DiffOp::Equal { .. } = op {
            removed.iter().for_each(|line| marked(out, ' ', line));
        } else {
            removed.iter().for_each(|line| marked(out, '-', line));
            added.iter().for_each(|line| marked(out, '+', line));
        }
    }
}

fn marked(out: &mut String, mark: char, line: &str) {
    out.push(mark);
    out.push_str(line);
    if !line.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}
