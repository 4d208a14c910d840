//! Patches written for known edits, so that what they should do is known.

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::seek::fold;

/// A line of a file: its text, and how it ends.
pub(super) type FileLine = (String, &'static str);

/// A patch, and what it should make of the file.
pub(super) struct Sample {
    /// The patch; none if there is nothing to change.
    pub(super) patch: Option<String>,
    /// The lines afterwards. How a new line ends is the patch's own choice.
    pub(super) expected: Vec<(String, Option<&'static str>)>,
}

/// Writes the patch that turns `old` into `new`, with three lines of context, or with the whole
/// file where three would not tell which place is meant. `misquote` spoils the old lines on
/// the way, in manners that a patch may be spoiled.
pub(super) fn sample(
    path: &str,
    old: &[FileLine],
    new: &[String],
    misquote: &mut dyn FnMut(&str) -> String,
) -> Sample {
    let texts: Vec<&str> = old.iter().map(|(text, _)| text.as_str()).collect();
    let after: Vec<&str> = new.iter().map(String::as_str).collect();
    let ops = capture_diff_slices(Algorithm::Myers, &texts, &after);
    let mut groups = group_diff_ops(ops.clone(), 3);
    if !are_unmistakable(&texts, &groups) {
        groups = group_diff_ops(ops.clone(), 1 << 20);
    }
    let expected = ops.iter().flat_map(|op| match op {
        DiffOp::Equal { .. } => {
            old[op.old_range()].iter().map(|(text, end)| (text.clone(), Some(*end))).collect()
        }
        _ => new[op.new_range()].iter().map(|text| (text.clone(), None)).collect::<Vec<_>>(),
    });
    let expected = expected.collect();
    if groups.is_empty() {
        return Sample { patch: None, expected };
    }
    let mut patch = format!("*** Begin Patch\n*** Update File: {path}\n");
    for group in &groups {
        patch.push_str("@@\n");
        for op in group {
            let is_kept = matches!(op, DiffOp::Equal { .. });
            for text in &texts[op.old_range()] {
                patch.push(if is_kept { ' ' } else { '-' });
                patch.extend([&misquote(text), "\n"]);
            }
            for text in after[op.new_range()].iter().filter(|_| !is_kept) {
                patch.extend(["+", text, "\n"]);
            }
        }
    }
    patch.push_str("*** End Patch\n");
    Sample { patch: Some(patch), expected }
}

/// Whether the old lines of each chunk stand in one place only, however they are misquoted.
fn are_unmistakable(texts: &[&str], groups: &[Vec<DiffOp>]) -> bool {
    let plain = |text: &&str| text.trim().chars().map(fold).collect::<String>();
    let plain: Vec<String> = texts.iter().map(plain).collect();
    let mut from = 0;
    groups.iter().all(|group| {
        let start = group.first().map_or(0, |op| op.old_range().start);
        let end = group.last().map_or(0, |op| op.old_range().end);
        let wanted = &plain[start..end];
        // An empty last line may also be taken for the end of the file.
        let loose = wanted.last().is_some_and(String::is_empty);
        let places = plain[from..].windows(wanted.len().max(1)).filter(|place| *place == wanted);
        let once = places.count() == 1;
        from = end;
        once && !loose
    })
}
