//! What `.rules` files mean, and what their faults cost.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Fault, LoadedRules, RulesFolder, RulesJob, read_rules};
use crate::files::MemoryFiles;
use crate::rules::{Decision, fuzz_rules};

fn shown(text: &str) -> Vec<String> {
    let read = read_rules(text);
    assert_eq!(read.fault, None, "{text}");
    read.rules.iter().map(|rule| rule.shown()).collect()
}

fn folder(folder: &str, trusted: bool) -> RulesFolder {
    RulesFolder { folder: PathBuf::from(folder), trusted }
}

fn load(files: &MemoryFiles, folders: &[RulesFolder]) -> LoadedRules {
    RulesJob { folders: folders.to_vec() }.run(files)
}

fn decision(loaded: &LoadedRules, line: &str) -> Option<Decision> {
    let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
    loaded.rules.check(&words).map(|found| found.decision)
}

#[test]
fn the_language_makes_rules() {
    let cases = [
        (
            "prefix_rule(pattern = ['a', ['b', 'c']])",
            vec![r#"prefix_rule(pattern=["a", ["b", "c"]], decision="allow")"#],
        ),
        (
            "prefix_rule([['a', 'b'], 'c'], 'forbidden', None, None, 'why')",
            vec![
                r#"prefix_rule(pattern=["a", "c"], decision="forbidden")"#,
                r#"prefix_rule(pattern=["b", "c"], decision="forbidden")"#,
            ],
        ),
        (
            "base = ['git']\nfor sub, how in [('push', 'prompt'), ('rm', 'forbidden')]:\n  \
             prefix_rule(pattern = base + [sub], decision = how)\n",
            vec![
                r#"prefix_rule(pattern=["git", "push"], decision="prompt")"#,
                r#"prefix_rule(pattern=["git", "rm"], decision="forbidden")"#,
            ],
        ),
        (
            "x = ['p'] if False else [f'{a}1' for a in ['q', 'r'] if a != 'r']\n\
             if 'q1' in x and not 'z' in x:\n  prefix_rule(pattern = x)\nelse:\n  nope()\n",
            vec![r#"prefix_rule(pattern=["q1"], decision="allow")"#],
        ),
        (
            "x = 'a'\nx += 'b'\nprefix_rule([x, ['c', 'd'][-1]])",
            vec![r#"prefix_rule(pattern=["ab", "d"], decision="allow")"#],
        ),
        (
            "prefix_rule(['a'], match = ['a b', ['a']], not_match = ['b \"a c\"'])",
            vec![r#"prefix_rule(pattern=["a"], decision="allow")"#],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn faults_have_the_texts_that_are_known() {
    let examples = "expected every example to match at least one rule. rules: \
                    [\"prefix_rule(pattern=[\\\"a\\\"], decision=\\\"allow\\\")\"]; unmatched \
                    examples: [\"b c\"]";
    let cases = [
        ("prefix_rule(pattern=['a'], decision='nope')", "invalid decision: nope"),
        ("prefix_rule(pattern=[])", "invalid pattern element: pattern cannot be empty"),
        ("prefix_rule([[]])", "invalid pattern element: pattern alternatives cannot be empty"),
        (
            "prefix_rule([1])",
            "invalid pattern element: pattern element must be a string or list of strings (got int)",
        ),
        (
            "prefix_rule([['a', None]])",
            "invalid pattern element: pattern alternative must be a string (got NoneType)",
        ),
        ("prefix_rule(['a'], justification=' ')", "invalid rule: justification cannot be empty"),
        (
            "prefix_rule(['a'], match=[\"'\"])",
            "invalid example: example string has invalid shell syntax",
        ),
        ("prefix_rule(['a'], match=[''])", "invalid example: example cannot be an empty string"),
        ("prefix_rule(['a'], match=[[]])", "invalid example: example cannot be an empty list"),
        (
            "prefix_rule(['a'], match=[[True]])",
            "invalid example: example tokens must be strings (got bool)",
        ),
        (
            "prefix_rule(['a'], match=[1])",
            "invalid example: example must be a string or list of strings (got int)",
        ),
        ("prefix_rule(['a'], match=['b c'])", examples),
        (
            "prefix_rule(['a'], match=['b'], not_match=['a b'])",
            "expected example to not match rule `prefix_rule(pattern=[\"a\"], decision=\"allow\")`: \
             a b",
        ),
        ("prefix_rule()", "Missing parameter `pattern` for call to `prefix_rule`"),
        ("x = foo", "Variable `foo` not found"),
        ("prefix_rule(['a'], x=1)", "Found `x` extra named parameter(s) for call to `prefix_rule`"),
    ];
    for (text, message) in cases {
        let fault = Fault::of(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(fault.message, message, "{text}");
    }
}

#[test]
fn faults_of_a_call_lie_on_the_call_and_unknown_names_on_the_name() {
    let text = "\n\nfoo(1)";
    assert_eq!(Fault::of(text).map(|fault| fault.span), Some(2..5));
    let text = "prefix_rule(pattern=[\"a\"], decision=\"nope\")";
    assert_eq!(Fault::of(text).map(|fault| fault.span), Some(0..43));
}

#[test]
fn a_broken_file_is_told_of_as_the_reference_does() {
    let text = "prefix_rule(pattern=[\"ls\"], decision=\"allow\")\nprefix_rule(\n";
    let files = MemoryFiles::new().with("/h/rules/default.rules", text);
    let loaded = load(&files, &[folder("/h", true)]);
    let warning = loaded.errors.first().expect("one error").warning();
    let json = serde_json::to_value(&warning).expect("serialises");
    assert_eq!(json["summary"], "Error parsing rules; custom rules not applied.");
    let place = serde_json::json!({"line": 3, "column": 1});
    assert_eq!(json["range"], serde_json::json!({"start": place, "end": place}));
    assert_eq!(json["path"], "/h/rules/default.rules");
    let details = json["details"].as_str().expect("details");
    assert!(details.starts_with("failed to parse rules file /h/rules/default.rules: "));
    assert!(loaded.rules.is_empty());
}

#[test]
fn a_folder_that_is_not_trusted_never_allows() {
    let text = "prefix_rule(['a'])\nprefix_rule(['b'], 'prompt')\nprefix_rule(['c'], 'forbidden')";
    let files = MemoryFiles::new().with("/w/.codex/rules/p.rules", text);
    let loaded = load(&files, &[folder("/w/.codex", false)]);
    assert_eq!(decision(&loaded, "a"), None);
    assert_eq!(decision(&loaded, "b"), Some(Decision::Prompt));
    assert_eq!(decision(&loaded, "c"), Some(Decision::Forbidden));
    let loaded = load(&files, &[folder("/w/.codex", true)]);
    assert_eq!(decision(&loaded, "a"), Some(Decision::Allow));
}

#[test]
fn what_a_broken_file_forbids_still_holds_and_nothing_is_allowed_in_doubt() {
    let good = "prefix_rule(['a'])";
    let broken = [
        "prefix_rule(['b'], 'forbidden')\nprefix_rule(\n",
        "x = = 1\nprefix_rule(['b'], 'forbidden')",
        "nope()\nprefix_rule(['b'], 'forbidden')",
        "prefix_rule(['b'], 'forbidden', match=['c'])",
        "prefix_rule(['b'], 'forbidden')\nprefix_rule(['c'])\n'unfinished",
    ];
    for text in broken {
        let files =
            MemoryFiles::new().with("/h/rules/a.rules", good).with("/h/rules/b.rules", text);
        let loaded = load(&files, &[folder("/h", true)]);
        assert_eq!(loaded.errors.len(), 1, "{text}");
        assert_eq!(decision(&loaded, "b"), Some(Decision::Forbidden), "{text}");
        assert_eq!((decision(&loaded, "a"), decision(&loaded, "c")), (None, None), "{text}");

        // A stranger's broken file does not take away what the user allowed.
        let files =
            MemoryFiles::new().with("/h/rules/a.rules", good).with("/w/rules/b.rules", text);
        let loaded = load(&files, &[folder("/h", true), folder("/w", false)]);
        assert_eq!(decision(&loaded, "a"), Some(Decision::Allow), "{text}");
        assert_eq!(decision(&loaded, "b"), Some(Decision::Forbidden), "{text}");
    }
    let misspelt = read_rules("prefix_rule(['b'], 'deny')");
    assert!(misspelt.fault.is_some());
    assert!(misspelt.rules.iter().all(|rule| rule.decision == Decision::Prompt));
}

#[test]
fn only_plain_files_with_the_extension_count() {
    let rule = "prefix_rule(['a'])";
    let files = MemoryFiles::new()
        .with("/h/rules/x.txt", rule)
        .with("/h/rules/.rules", rule)
        .with("/h/rules/d.rules/e.rules", rule)
        .with("/elsewhere", rule);
    files.link("/h/rules/l.rules", "/elsewhere");
    let loaded = load(&files, &[folder("/h", true), folder("/none", true)]);
    assert_eq!(loaded, LoadedRules::default());
    files.put("/h/rules/y.rules", rule);
    assert_eq!(decision(&load(&files, &[folder("/h", true)]), "a"), Some(Decision::Allow));
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    let files = MemoryFiles::new().with("/h/rules", "a file").with("/w/rules/a.rules", b"\xff");
    let loaded = load(&files, &[folder("/h", true), folder("/w", true)]);
    let errors: Vec<_> = loaded.errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "failed to read rules files from /h/rules: Not a directory (os error 20)",
            "failed to read rules file /w/rules/a.rules: stream did not contain valid UTF-8",
        ]
    );
    assert_eq!(loaded.errors.first().map(super::RulesError::path), Some(Path::new("/h/rules")));
    let crowd = MemoryFiles::new();
    for n in 0..=crate::limits::RULES_FILES_MAX {
        crowd.put(format!("/h/rules/{n}.rules"), "prefix_rule(['a'])");
    }
    let loaded = load(&crowd, &[folder("/h", true)]);
    assert_eq!((loaded.errors.len(), decision(&loaded, "a")), (1, None));
}

#[test]
fn evaluation_is_bounded() {
    let list = format!("x = [{}]\n", "'a',".repeat(1000));
    for text in [
        "y = []\nfor a in x:\n  for b in x:\n    y = [y]\n",
        "y = 'a'\nfor a in x:\n  y = y + y\n",
        "y = [c for a in x for b in x for c in x]",
        "y = x\nfor a in x:\n  y = y + y\n",
        "y = 'a'\nfor a in x:\n  y = [y, y]\n  z = y == y\n",
        "for a in x:\n  for b in x:\n    prefix_rule(x)\n",
    ] {
        assert!(Fault::of(&format!("{list}{text}")).is_some(), "{text}");
    }
    // Also what is saved from a text that does not parse.
    let heavy = format!("prefix_rule(['b'], 'forbidden')\n{list}[1 for a in x for b in x]\n");
    let read = read_rules(&format!("{}'", heavy.repeat(100)));
    assert!(read.fault.is_some() && read.rules.len() < 100, "{}", read.rules.len());
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        fuzz_rules(text.as_bytes());
    }

    #[test]
    fn no_order_of_tokens_panics(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "prefix_rule(", "pattern=", "[", "]", "(", ")", ",", "'a'", "x", "=", "+", "\n", "  ",
                "for ", "in ", "if ", "else", ":", "not ", "f'{x}'", "1", "None", "'forbidden'", ";",
            ]),
            0..30,
        )
    ) {
        fuzz_rules(words.concat().as_bytes());
    }
}
