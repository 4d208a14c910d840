//! For any file and any edit the patch of the edit makes the edited file, however it quotes what
//! was there; and no text whatever does harm.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{framed, planned, text};
use crate::files::MemoryFiles;
use crate::tools::patch::fuzz_patch;
use crate::tools::patch::sample::{FileLine, sample};

/// How a patch misquotes a line.
#[derive(Clone, Copy, Debug)]
enum Misquote {
    Not,
    End,
    BothEnds,
    Marks,
}

fn misquoted(text: &str, how: Misquote) -> String {
    match how {
        Misquote::Not => text.to_owned(),
        Misquote::End => format!("{} \t", text.trim_end()),
        Misquote::BothEnds => format!("   {} ", text.trim()),
        Misquote::Marks => text
            .replace(['\u{2014}', '\u{2212}'], "-")
            .replace('\u{2019}', "'")
            .replace('\u{A0}', " "),
    }
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ab]",
        "[ \t]{0,3}[a-e+*@ -]{0,5}[\u{2014}\u{2212}\u{2019}\u{A0}x]{0,3}[ \t]{0,2}",
        "[^\r\n]{0,12}",
    ]
}

/// What an edit does at a line.
#[derive(Clone, Debug)]
enum Edit {
    Keep,
    Remove,
    Replace(String),
    Insert(Vec<String>),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => Just(Edit::Keep),
        1 => Just(Edit::Remove),
        1 => any_line().prop_map(Edit::Replace),
        1 => vec(any_line(), 1..4).prop_map(Edit::Insert),
    ]
}

fn any_ends() -> impl Strategy<Value = &'static [&'static str]> {
    const STYLES: [&[&str]; 3] = [&["\n"], &["\r\n"], &["\n", "\r\n", "\n", "\n"]];
    prop::sample::select(STYLES.to_vec())
}

fn any_misquote() -> impl Strategy<Value = Misquote> {
    let all = vec![Misquote::Not, Misquote::End, Misquote::BothEnds, Misquote::Marks];
    prop::sample::select(all)
}

fn edited(lines: &[(String, Edit)]) -> Vec<String> {
    let one = |(line, edit): &(String, Edit)| match edit {
        Edit::Keep => vec![line.clone()],
        Edit::Remove => Vec::new(),
        Edit::Replace(new) => vec![new.clone()],
        Edit::Insert(new) => [new.clone(), vec![line.clone()]].concat(),
    };
    lines.iter().flat_map(one).collect()
}

proptest! {
    #[test]
    fn the_patch_of_an_edit_makes_the_edited_file(
        lines in vec((any_line(), any_edit()), 0..40),
        ends in any_ends(),
        is_ended in any::<bool>(),
        misquotes in vec(any_misquote(), 1..8),
    ) {
        // A mark in the first place is no part of the first line.
        prop_assume!(!lines.first().is_some_and(|(line, _)| line.starts_with('\u{FEFF}')));
        let mut old: Vec<FileLine> =
            lines.iter().zip(ends.iter().cycle()).map(|((line, _), end)| (line.clone(), *end)).collect();
        if let Some((line, end)) = old.last_mut() && !is_ended && !line.is_empty() {
            *end = "";
        }
        let before: String = old.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
        let mut misquotes = misquotes.into_iter().cycle();
        let mut misquote = |text: &str| misquoted(text, misquotes.next().unwrap_or(Misquote::Not));
        let sample = sample("f", &old, &edited(&lines), &mut misquote);
        let Some(patch) = sample.patch else { return Ok(()) };

        let files = MemoryFiles::new().with("/w/f", &before);
        let plan = planned(&files, &patch).map_err(TestCaseError::fail)?;
        plan.commit(&files).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let after = text(&files, "/w/f").unwrap_or_default();
        let found: Vec<&str> = after.split_inclusive('\n').collect();
        prop_assert_eq!(found.len(), sample.expected.len(), "{:?}\n{}", before, patch);
        let last = found.len().saturating_sub(1);
        for (at, (found, (text, end))) in found.iter().zip(&sample.expected).enumerate() {
            let end = match end {
                // Only the last line can be without an end.
                Some("") if at < last => None,
                end => *end,
            };
            let ok = match end {
                Some(end) => *found == format!("{text}{end}"),
                None => ends.iter().chain(&["\n"]).any(|end| *found == format!("{text}{end}")),
            };
            prop_assert!(ok, "line {}: {:?} is not {:?}\n{:?}\n{}", at, found, (text, end), before, patch);
            // Where all lines end alike, a new one does as well.
            let alike = ends.len() == 1 && !old.iter().all(|(_, end)| end.is_empty());
            prop_assert!(!alike || end == Some("") || found.ends_with(ends[0]), "{:?}", found);
        }
    }

    #[test]
    fn no_bytes_do_harm(data in vec(any::<u8>(), 0..300)) {
        fuzz_patch(&data);
    }

    #[test]
    fn no_text_of_the_right_words_does_harm(
        file in vec(any_line(), 0..6),
        words in vec(prop::sample::select(WORDS.to_vec()), 0..20),
    ) {
        let text = [file.join("\n"), "\0".to_owned(), words.concat()].concat();
        fuzz_patch(text.as_bytes());
        fuzz_patch([file.join("\r\n"), "\0".to_owned(), framed(&words.concat())].concat().as_bytes());
    }
}

/// The words that patches consist of, with some nonsense.
const WORDS: [&str; 30] = [
    "*** Begin Patch\n",
    "*** End Patch\n",
    "*** End of File\n",
    "*** Add File: n\n",
    "*** Add File: f\n",
    "*** Add File: d\n",
    "*** Add File: f/x\n",
    "*** Delete File: f\n",
    "*** Delete File: d/g\n",
    "*** Delete File: d\n",
    "*** Update File: f\n",
    "*** Update File: n\n",
    "*** Update File: d/g\n",
    "*** Move to: n\n",
    "*** Move to: f\n",
    "*** Move to: d/g\n",
    "*** Move to: ../../x/./y\n",
    "*** Move to: d/g/h\n",
    "*** Update File: \n",
    "@@\n",
    "@@ a\n",
    " a\n",
    "-a\n",
    "+a\n",
    "-b\n",
    "+\u{1F600}\r\n",
    "-one\n",
    "\n",
    " \n",
    "\u{2014}",
];
