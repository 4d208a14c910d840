//! Inputs that call a prompt, `/prompts:name words`, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::PromptTexts;
use crate::limits;
use crate::wire::v2::item::UserInput;

/// What a call begins with.
const CALL: &str = "/prompts:";

/// The names of the prompts that an input calls, each once.
pub(crate) fn called(input: &[UserInput]) -> Vec<String> {
    let calls = input.iter().filter_map(text_of).filter_map(split);
    let names: BTreeSet<&str> = calls.map(|(name, _)| name).collect();
    names.into_iter().take(limits::PROMPTS_CALLED_MAX).map(str::to_owned).collect()
}

/// The input with the prompts in the place of their calls, and what is to be said about those that
/// could not be put there.
pub(crate) fn expanded(
    mut input: Vec<UserInput>,
    texts: &PromptTexts,
) -> (Vec<UserInput>, Vec<String>) {
    let mut faults = Vec::new();
    for part in &mut input {
        let Some((name, words)) = text_of(part).and_then(split) else { continue };
        let Some((_, text)) = texts.0.iter().find(|(found, _)| found == name) else { continue };
        match text.as_ref().map_err(Clone::clone).and_then(|text| expand(text, words)) {
            // Pieces of what was typed are no pieces of this.
            Ok(text) => *part = UserInput::Text { text, text_elements: Vec::new() },
            Err(error) => faults.push(format!("Failed to use prompt {name}: {error}")),
        }
    }
    (input, faults)
}

/// Whether a prompt may have this name: it is that of a file in the folder, and one word.
pub(super) fn is_name(name: &str) -> bool {
    let is_odd = |c: char| c == '/' || c == '\0' || c.is_whitespace();
    !name.is_empty() && !name.starts_with('.') && !name.contains(is_odd)
}

fn text_of(part: &UserInput) -> Option<&str> {
    match part {
        UserInput::Text { text, .. } => Some(text),
        UserInput::Image { .. }
        | UserInput::LocalImage { .. }
        | UserInput::Skill { .. }
        | UserInput::Mention { .. } => None,
    }
}

/// The name and the words of a call.
fn split(text: &str) -> Option<(&str, &str)> {
    let call = text.strip_prefix(CALL)?.trim_end();
    let (name, words) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
    is_name(name).then_some((name, words))
}

/// The text with the words in the places that it has for them: `$1` to `$9`, `$ARGUMENTS` for all,
/// `$KEY` for the word `KEY=value`; `$$` is a dollar. What else stands behind a dollar stays.
fn expand(text: &str, words: &str) -> Result<String, String> {
    // An apostrophe is no quote that was left open.
    let split_plainly = || words.split_whitespace().map(str::to_owned).collect();
    let words: Vec<String> = shlex::split(words).unwrap_or_else(split_plainly);
    let wanted: BTreeSet<&str> = pieces(text).filter_map(|piece| piece.key).collect();
    let mut named = BTreeMap::new();
    let mut in_order = Vec::new();
    for word in &words {
        match word.split_once('=').filter(|(key, _)| wanted.contains(key)) {
            Some((key, value)) => _ = named.insert(key, value),
            None => in_order.push(word.as_str()),
        }
    }
    let all = in_order.join(" ");
    let mut said = String::new();
    for Piece { before, place, key } in pieces(text) {
        let digit = place.strip_prefix('$').and_then(|digit| digit.parse::<usize>().ok());
        let instead = match (place, key, digit) {
            ("$$", ..) => "$",
            ("$ARGUMENTS", ..) => &all,
            (_, Some(key), _) => named.get(key).copied().unwrap_or(place),
            (_, _, Some(digit)) => in_order.get(digit - 1).copied().unwrap_or_default(),
            (place, None, None) => place,
        };
        if said.len() + before.len() + instead.len() > limits::PROMPT_EXPANDED_BYTES_MAX {
            return Err(format!("longer than {} bytes", limits::PROMPT_EXPANDED_BYTES_MAX));
        }
        said.push_str(before);
        said.push_str(instead);
    }
    Ok(said)
}

/// A piece of a prompt.
struct Piece<'a> {
    before: &'a str,
    /// From a dollar on; empty at the end of the text.
    place: &'a str,
    /// The key that it names.
    key: Option<&'a str>,
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(dollar) = text.find('$') else {
            return Some(Piece { before: text, place: "", key: None });
        };
        let (before, from_dollar) = text.split_at(dollar);
        let len = place_len(from_dollar.as_bytes());
        let (place, behind) = from_dollar.split_at(len);
        rest = Some(behind);
        let key = place.get(1..).filter(|key| key.starts_with(|c: char| c.is_ascii_uppercase()));
        Some(Piece { before, place, key: key.filter(|key| *key != "ARGUMENTS") })
    })
}

/// How long the place is that begins with this dollar.
fn place_len(text: &[u8]) -> usize {
    match text.get(1) {
        Some(b'$' | b'1'..=b'9') => 2,
        Some(b'A'..=b'Z') => {
            let is_key = |c: &u8| matches!(c, b'A'..=b'Z' | b'0'..=b'9' | b'_');
            1 + text.iter().skip(1).take_while(|c| is_key(c)).count()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> UserInput {
        UserInput::Text { text: text.to_owned(), text_elements: Vec::new() }
    }

    #[track_caller]
    fn check(prompt: &str, words: &str, expected: &str) {
        assert_eq!(expand(prompt, words).as_deref(), Ok(expected), "{prompt:?} {words:?}");
    }

    #[test]
    fn words_take_their_places() {
        check("do $1 to $2, $3.", "this that", "do this to that, .");
        check("$ARGUMENTS|$1", "a 'b c'", "a b c|a");
        check("$$1 costs $10 $", "x", "$1 costs x0 $");
        check("in $FILE: $1 $PATH $file", "FILE='a b' PATHS=x now", "in a b: PATHS=x $PATH $file");
        check("$A_1$A_1", "A_1=é A_1=y", "yy");
        check("$1 $ARGUMENTS", "don't stop", "don't don't stop");
        check("$FILE $1", "", "$FILE ");
        check("plain", "words", "plain");
    }

    #[test]
    fn what_grows_too_long_is_refused() {
        let prompt = "$1".repeat(20);
        assert!(expand(&prompt, &"x".repeat(1 << 20)).is_err());
    }

    #[test]
    fn only_whole_inputs_are_calls() {
        for (typed, expected) in [
            ("/prompts:a", Some(("a", ""))),
            ("/prompts:a-b x\ny \n", Some(("a-b", "x\ny"))),
            (" /prompts:a", None),
            ("say /prompts:a", None),
            ("/prompts: a", None),
            ("/prompts:../a", None),
            ("/prompts:.a", None),
            ("/prompt:a", None),
        ] {
            assert_eq!(split(typed), expected, "{typed:?}");
        }
    }

    #[test]
    fn a_call_without_a_prompt_stays_as_it_was_typed() {
        let input = vec![text("/prompts:a 1"), text("/prompts:none 1"), text("/prompts:bad")];
        assert_eq!(called(&input), ["a", "bad", "none"]);
        let texts = PromptTexts(vec![
            ("a".to_owned(), Ok("is $1".to_owned())),
            ("bad".to_owned(), Err("denied".to_owned())),
        ]);
        let (input, faults) = expanded(input, &texts);
        assert_eq!(input, [text("is 1"), text("/prompts:none 1"), text("/prompts:bad")]);
        assert_eq!(faults, ["Failed to use prompt bad: denied"]);
    }

    proptest! {
        /// Without words nothing but places changes, and any text is taken.
        #[test]
        fn any_prompt_and_any_words_do(prompt in "[$A1é =']{0,12}", words in "[A1= 'é\"]{0,12}") {
            expand(&prompt, &words).expect("short");
            let all: String =
                pieces(&prompt).flat_map(|piece| [piece.before, piece.place]).collect();
            prop_assert_eq!(all, prompt);
        }
    }
}
