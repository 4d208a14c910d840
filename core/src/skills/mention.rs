//! Which skills the user's words name (engine.md §10.2).

use crate::wire::v2::item::UserInput;

use super::SkillPlace;

/// Words behind a dollar that mean variables of the environment.
const VARIABLES: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "PWD",
    "TMPDIR",
    "TEMP",
    "TMP",
    "LANG",
    "TERM",
    "XDG_CONFIG_HOME",
];

/// One way to name a skill.
#[derive(Debug, PartialEq, Eq)]
enum Mention<'a> {
    /// By its file.
    Path(&'a str),
    /// By its name, which must be no other's.
    Name(&'a str),
}

/// The skills that an input names, each once: those named by their file first, then those whose
/// name is no other's.
pub(crate) fn named<'s>(input: &[UserInput], skills: &'s [SkillPlace]) -> Vec<&'s SkillPlace> {
    let mut mentions = Vec::new();
    for part in input {
        match part {
            UserInput::Text { text, .. } => mentions.extend(mentions_in(text)),
            UserInput::Skill { path, .. } => mentions.push(Mention::Path(path)),
            UserInput::Image { .. } | UserInput::LocalImage { .. } | UserInput::Mention { .. } => {}
        }
    }
    let mut found: Vec<&SkillPlace> = Vec::new();
    let mut take = |skill: &'s SkillPlace| {
        if !found.iter().any(|other| other.path == skill.path) {
            found.push(skill);
        }
    };
    for mention in &mentions {
        if let Mention::Path(path) = mention {
            skills.iter().filter(|skill| *skill.path == **path).for_each(&mut take);
        }
    }
    for mention in &mentions {
        if let Mention::Name(name) = mention {
            let mut of_name = skills.iter().filter(|skill| *skill.name == **name);
            if let (Some(skill), None) = (of_name.next(), of_name.next()) {
                take(skill);
            }
        }
    }
    found
}

/// `$name`, and `[$name](path)`, which goes by its path.
fn mentions_in(text: &str) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        let len = behind.find(|c| !is_name_char(c)).unwrap_or(behind.len());
        let (name, after) = behind.split_at(len);
        rest = after;
        let linked = before.ends_with('[').then(|| link(after)).flatten();
        if let Some((path, behind)) = linked.filter(|_| !name.is_empty()) {
            rest = behind;
            found.extend(skill_path(path).map(Mention::Path));
        } else if !name.is_empty() && !VARIABLES.contains(&name) {
            found.push(Mention::Name(name));
        }
    }
    found
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// What stands between the round brackets behind a link's text, and what follows.
fn link(after: &str) -> Option<(&str, &str)> {
    let (path, behind) =
        after.strip_prefix(']')?.trim_start().strip_prefix('(')?.split_once(')')?;
    Some((path.trim(), behind))
}

/// The file that a link leads to; none if it leads to an app or an MCP server.
fn skill_path(path: &str) -> Option<&str> {
    if path.starts_with("app://") || path.starts_with("mcp://") {
        return None;
    }
    Some(path.strip_prefix("skill://").unwrap_or(path)).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{mentions_in, named};
    use crate::skills::SkillPlace;
    use crate::wire::v2::item::UserInput;

    fn places() -> Vec<SkillPlace> {
        let place = |name: &str, path: &str| SkillPlace { name: name.into(), path: path.into() };
        vec![place("a", "/s/a"), place("b-2", "/s/b"), place("two", "/s/x"), place("two", "/s/y")]
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let input = [UserInput::Text { text: text.to_owned(), text_elements: Vec::new() }];
        let places = places();
        let found: Vec<_> = named(&input, &places).iter().map(|skill| &*skill.path).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_dollar_names_a_skill() {
        check("use $a please", &["/s/a"]);
        check("$b-2, then $a and $a", &["/s/b", "/s/a"]);
        check("$A $ab a $ $PATH", &[]);
        check("$a:x", &["/s/a"]);
        check("$two", &[]);
    }

    #[test]
    fn a_link_goes_by_its_path() {
        check("[$two](/s/y)", &["/s/y"]);
        check("[$two](skill:///s/x) $a", &["/s/x", "/s/a"]);
        check("$a [$anything](/s/b)", &["/s/b", "/s/a"]);
        check("[$a](app://a) [$a](mcp://a) [$a](/s/none)", &[]);
        check("[$a] (/s/b)", &["/s/b"]);
        check("[$a](unclosed", &["/s/a"]);
    }

    #[test]
    fn a_skill_in_the_input_counts() {
        let input = [UserInput::Skill { name: "x".to_owned(), path: "/s/y".to_owned() }];
        let places = places();
        assert_eq!(named(&input, &places), [&places[3]]);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "[\\[\\]()$a-c:/ é-]{0,40}") {
            for mention in mentions_in(&text) {
                let (super::Mention::Path(part) | super::Mention::Name(part)) = mention;
                prop_assert!(!part.is_empty() && text.contains(part));
            }
        }
    }
}
