//! The head of a prompt's file: lines of keys and values between two lines of dashes.
//!
//! No YAML: hints such as `[file] <name>` are written bare, and are to be shown as they stand.

/// What the head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) description: Option<String>,
    pub(super) argument_hint: Option<String>,
}

/// The head and what follows it. A text without a whole head has none.
pub(super) fn split(text: &str) -> (Head, &str) {
    let mut head = Head::default();
    let Some((first, mut rest)) = text.split_once('\n') else { return (head, text) };
    if first.trim() != "---" {
        return (head, text);
    }
    while !rest.is_empty() {
        let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = behind;
        if line.trim() == "---" {
            return (head, rest);
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim().to_ascii_lowercase().as_str() {
            "description" => head.description = Some(unquoted(value)),
            "argument-hint" | "argument_hint" => head.argument_hint = Some(unquoted(value)),
            _ => {}
        }
    }
    (Head::default(), text)
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inside =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inside.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, description: Option<&str>, hint: Option<&str>, rest: &str) {
        let head =
            Head { description: description.map(Into::into), argument_hint: hint.map(Into::into) };
        assert_eq!(split(text), (head, rest), "{text:?}");
    }

    #[test]
    fn a_head_is_taken_off() {
        let text =
            "---\r\nDescription: 'it: says'\n# no: key\n\nargument_hint: [a] <b>\n---\nrest\n";
        check(text, Some("it: says"), Some("[a] <b>"), "rest\n");
        check("---\n---", None, None, "");
        check("---\ndescription: \"\n---\nx", Some("\""), None, "x");
    }

    #[test]
    fn what_is_no_head_belongs_to_the_text() {
        for text in ["", "---", "---\ndescription: open", "x\n---\ndescription: y\n---\n"] {
            check(text, None, None, text);
        }
    }
}
