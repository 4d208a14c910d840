//! The head of a `SKILL.md`: the YAML between two lines of dashes (config.md §7.2).

use super::yaml::{self, Node};
use crate::limits;

/// What the head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) short_description: Option<String>,
}

/// Reads the head of a file. The error is the text that clients are shown.
pub(super) fn read(text: &str) -> Result<Head, String> {
    let yaml = between_dashes(text)
        .ok_or_else(|| "missing YAML frontmatter delimited by ---".to_owned())?;
    let head = yaml::read(&yaml).map_err(|error| format!("invalid YAML: {error}"))?;
    let name = required(head.as_ref(), "name")?;
    let description = required(head.as_ref(), "description")?;
    let short = short_description(head.as_ref())?;
    let name = fitting("name", name, limits::SKILL_NAME_CHARS_MAX)?;
    let description = fitting("description", description, limits::SKILL_TEXT_CHARS_MAX)?;
    let field = "metadata.short-description";
    let short_description = match short.map(|text| one_line(&text)) {
        None => None,
        Some(text) if text.is_empty() => None,
        Some(text) if is_longer(&text, limits::SKILL_TEXT_CHARS_MAX) => {
            return Err(too_long(field, limits::SKILL_TEXT_CHARS_MAX));
        }
        Some(text) => Some(text),
    };
    Ok(Head { name, description, short_description })
}

/// White space as single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a text has more than `max` characters.
pub(super) fn is_longer(text: &str, max: usize) -> bool {
    text.chars().nth(max).is_some()
}

fn between_dashes(text: &str) -> Option<String> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "---" {
        return None;
    }
    let mut inside = Vec::new();
    for line in lines {
        if line.trim() == "---" {
            return (!inside.is_empty()).then(|| inside.join("\n"));
        }
        inside.push(line);
    }
    None
}

fn required(head: Option<&Node>, field: &str) -> Result<String, String> {
    let Some(node) = head.and_then(|head| head.member(field)) else {
        return Err(format!("invalid YAML: missing field `{field}`"));
    };
    let text = node.text();
    text.map(str::to_owned)
        .ok_or_else(|| format!("invalid YAML: {}", node.misfit(field, "a string")))
}

fn short_description(head: Option<&Node>) -> Result<Option<String>, String> {
    let Some(metadata) = head.and_then(|head| head.member("metadata")) else {
        return Ok(None);
    };
    match (metadata.text(), metadata.member("short-description")) {
        (None, Some(node)) => match node.text() {
            Some(text) => Ok(Some(text.to_owned())),
            None => {
                let misfit = node.misfit("metadata.short-description", "a string");
                Err(format!("invalid YAML: {misfit}"))
            }
        },
        (Some(text), _) if !text.is_empty() => {
            Err(format!("invalid YAML: {}", metadata.misfit("metadata", "a map")))
        }
        (_, None) | (Some(_), _) => Ok(None),
    }
}

fn fitting(field: &str, text: String, max: usize) -> Result<String, String> {
    let text = one_line(&text);
    if text.is_empty() {
        Err(format!("missing field `{field}`"))
    } else if is_longer(&text, max) {
        Err(too_long(field, max))
    } else {
        Ok(text)
    }
}

fn too_long(field: &str, max: usize) -> String {
    format!("invalid {field}: exceeds maximum length of {max} characters")
}

#[cfg(test)]
mod tests {
    use super::read;

    fn error(text: &str) -> String {
        read(text).expect_err(text)
    }

    #[test]
    fn white_space_is_collapsed() {
        let text = "---\nname:  a   b\ndescription: >\n  one\n  two\nmetadata:\n  \
                    short-description: ' s  s '\nother: [1]\n---\nbody\n---\n";
        let head = read(text).expect("a head");
        assert_eq!((head.name.as_str(), head.description.as_str()), ("a b", "one two"));
        assert_eq!(head.short_description.as_deref(), Some("s s"));
    }

    #[test]
    fn faults_read_as_the_reference_says_them() {
        let missing = "missing YAML frontmatter delimited by ---";
        for text in ["", "name: a", "---\nname: a", "---\n---\n", "x\n---\nname: a\n---"] {
            assert_eq!(error(text), missing, "{text:?}");
        }
        assert_eq!(error("---\nname: a\n---"), "invalid YAML: missing field `description`");
        assert_eq!(error("---\n# x\n---"), "invalid YAML: missing field `name`");
        assert_eq!(error("---\nname: ' '\ndescription: d\n---"), "missing field `name`");
        assert_eq!(
            error("---\nname: [a]\ndescription: d\n---"),
            "invalid YAML: name: invalid type: sequence, expected a string at line 1 column 7"
        );
        let long = format!("---\nname: {}\ndescription: d\n---", "n".repeat(65));
        assert_eq!(error(&long), "invalid name: exceeds maximum length of 64 characters");
        let long = format!("---\nname: n\ndescription: {}\n---", "d ".repeat(600));
        assert_eq!(error(&long), "invalid description: exceeds maximum length of 1024 characters");
        assert!(error("---\nname: [\n---").starts_with("invalid YAML: "));
        let text = "---\nname: n\ndescription: d\nmetadata: x\n---";
        assert!(error(text).starts_with("invalid YAML: metadata: invalid type"));
    }

    #[test]
    fn carriage_returns_do_not_matter() {
        let head = read("---\r\nname: a\r\ndescription: d\r\n---\r\n").expect("a head");
        assert_eq!((head.name.as_str(), head.description.as_str()), ("a", "d"));
    }
}
