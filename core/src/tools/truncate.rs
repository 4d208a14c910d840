//! Cuts what a tool wrote down to what the model is given (engine.md §3.4): the beginning and the
//! end stay, and between them stands how much is missing.

use std::fmt::Write;

use crate::model::catalogue::Truncation;

/// Bytes that count as one token.
const TOKEN_BYTES: usize = 4;

/// A text that is no longer than its policy says, but for the marker of what is missing.
pub(crate) fn truncate(text: &str, policy: Truncation) -> String {
    cut(text, policy).unwrap_or_else(|| text.to_owned())
}

/// The same; a text that had to be cut says first how many lines it had.
pub(crate) fn truncate_with_header(text: &str, policy: Truncation) -> String {
    match cut(text, policy) {
        None => text.to_owned(),
        Some(cut) => format!("Total output lines: {}\n\n{cut}", text.lines().count()),
    }
}

/// The bytes that a policy lets stand.
fn budget(policy: Truncation) -> usize {
    let (limit, unit) = match policy {
        Truncation::Bytes(limit) => (limit, 1),
        Truncation::Tokens(limit) => (limit, TOKEN_BYTES),
    };
    usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(unit)
}

fn cut(text: &str, policy: Truncation) -> Option<String> {
    let budget = budget(policy);
    if text.len() <= budget {
        return None;
    }
    let left = budget / 2;
    let right = text.len() - (budget - left);
    let head = (0..=left).rev().find_map(|at| text.get(..at)).unwrap_or_default();
    let tail = (right..=text.len()).find_map(|at| text.get(at..)).unwrap_or_default();
    let mut out = String::with_capacity(head.len() + tail.len() + 32);
    out.push_str(head);
    // Writing to a string cannot fail.
    let _ = match policy {
        Truncation::Tokens(_) => {
            let missing = (text.len() - budget).div_ceil(TOKEN_BYTES);
            write!(out, "…{missing} tokens truncated…")
        }
        Truncation::Bytes(_) => {
            let middle = text.get(head.len()..text.len() - tail.len()).unwrap_or_default();
            write!(out, "…{} chars truncated…", middle.chars().count())
        }
    };
    out.push_str(tail);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TOKEN_BYTES, budget, truncate, truncate_with_header};
    use crate::model::catalogue::Truncation;

    #[test]
    fn beginning_and_end_stay() {
        let bytes = Truncation::Bytes;
        let cases = [
            ("hello", bytes(5), "hello"),
            ("hello", bytes(4), "he…1 chars truncated…lo"),
            ("hello", bytes(0), "…5 chars truncated…"),
            ("0123456789", Truncation::Tokens(1), "01…2 tokens truncated…89"),
            // No character is cut in two.
            ("äöü", bytes(3), "…2 chars truncated…ü"),
            ("äöüß", bytes(5), "ä…2 chars truncated…ß"),
        ];
        for (text, policy, expected) in cases {
            assert_eq!(truncate(text, policy), expected, "{text} {policy:?}");
        }
    }

    #[test]
    fn a_header_counts_the_lines_of_what_was_cut() {
        assert_eq!(truncate_with_header("a\nb\n", Truncation::Bytes(4)), "a\nb\n");
        let cut = truncate_with_header("a\nb\nc\nd\n", Truncation::Bytes(4));
        assert_eq!(cut, "Total output lines: 4\n\na\n…4 chars truncated…d\n");
    }

    proptest! {
        #[test]
        fn what_stays_is_within_the_budget_and_nothing_is_made_up(
            text in "\\PC{0,60}",
            limit in 0..40u64,
            tokens: bool,
        ) {
            let policy = if tokens { Truncation::Tokens(limit) } else { Truncation::Bytes(limit) };
            let budget = budget(policy);
            let cut = truncate(&text, policy);
            if text.len() <= budget {
                prop_assert_eq!(cut, text);
                return Ok(());
            }
            let marked = |end: &str| text.starts_with(end);
            let (head, rest) = (0..=budget / 2).rev()
                .filter_map(|at| Some((cut.get(..at)?, cut.get(at..)?)))
                .find(|(head, rest)| marked(head) && rest.starts_with('…'))
                .expect("a beginning and a marker");
            let end = if tokens { " tokens truncated…" } else { " chars truncated…" };
            let (count, tail) = rest['…'.len_utf8()..].split_once(end).expect("a marker");
            prop_assert!(text.ends_with(tail));
            prop_assert!(head.len() + tail.len() <= budget);
            // Each half lacks less than a character of its share.
            prop_assert!(head.len() + tail.len() + 2 * 3 >= budget);
            let count: usize = count.parse().expect("a number");
            let missing = &text[head.len()..text.len() - tail.len()];
            if tokens {
                prop_assert_eq!(count, (text.len() - budget).div_ceil(TOKEN_BYTES));
            } else {
                prop_assert_eq!(count, missing.chars().count());
            }
        }
    }
}
