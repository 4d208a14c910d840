//! Core names nothing that does IO, reads a clock or draws randomness, and depends only on what is
//! listed here.
//!
//! Method: the text of every source file without comments and literals is searched for banned
//! paths. That is coarser than clippy's lists, but also holds for code that is not compiled here.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own crate has failed")]

use std::fs;
use std::path::{Path, PathBuf};

const BANNED: &[&str] = &[
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "HashMap",
    "HashSet",
    "tokio",
    "async_std",
    "println!",
    "eprintln!",
    "rand::rng",
    "unsafe",
];

/// What only the driver may name.
const DRIVER_ONLY: &[&str] = &["std::future", "std::task"];

/// Direct dependencies; each has its reason in ARCHITECTURE.md.
const DEPENDENCIES: &[&str] = &[
    "aho-corasick",
    "base64",
    "jiff",
    "memchr",
    "rand_chacha",
    "saphyr-parser",
    "schemars",
    "serde",
    "serde_json",
    "sha2",
    "shlex",
    "similar",
    "thiserror",
    "toml",
    "toml_edit",
    "tracing",
    "uuid",
    "wildmatch",
    "zeroize",
];

#[test]
fn core_names_nothing_impure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let files = rust_files(&root);
    assert!(files.len() > 10, "only {} files in {}", files.len(), root.display());
    for file in files {
        let code = code_of(&fs::read_to_string(&file).unwrap());
        let driver = file.ends_with("src/driver.rs") || file.ends_with("src/driver/tests.rs");
        let fenced = DRIVER_ONLY.iter().filter(|_| !driver);
        for banned in BANNED.iter().chain(fenced) {
            if names(&code, banned) {
                found.push(format!("{}: {banned}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "impure:\n{}", found.join("\n"));
}

#[test]
fn core_depends_on_what_is_listed() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    for name in dependencies.keys() {
        assert!(DEPENDENCIES.contains(&name.as_str()), "{name} is not on the list");
    }
    for kind in ["target", "build-dependencies"] {
        assert!(!manifest.contains_key(kind), "core has [{kind}]");
    }
}

#[test]
fn the_search_finds_what_it_should() {
    let impure = |text: &str| BANNED.iter().any(|banned| names(&code_of(text), banned));
    for text in [
        "use std::fs;",
        "use std::{collections::{BTreeMap, VecDeque}, env as e};",
        "std :: process :: exit(1)",
        "let t = Instant::now();",
        "unsafe { x() }",
        "let c = '\"'; println!(\"x\")",
        "let s = r#\"a\"b\"#; HashMap::new()",
        "fn f<'a>(x: &'a str) { tokio::spawn(x) }",
    ] {
        assert!(impure(text), "{text}");
    }
    for text in [
        "// std::fs",
        "/* unsafe /* nested */ tokio */ let x = 1;",
        "let s = \"https://x // std::fs \\\" HashMap\";",
        "let s = r#\"a\"unsafe\"#;",
        "unsafe_code(); my_tokio(); std::fsx;",
        "use std::{collections::BTreeMap, fmt};",
    ] {
        assert!(!impure(text), "{text}");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("core has sources") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Whether `code` has `path` as whole words, or its last name in a group behind `std::`.
fn names(code: &str, path: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let whole = code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    });
    whole || path.strip_prefix("std::").is_some_and(|name| in_group(code, name))
}

fn in_group(code: &str, name: &str) -> bool {
    code.match_indices("std::{").any(|(at, open)| {
        let mut depth = 0;
        let group = code[at + open.len()..].chars().take_while(|c| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth >= 0
        });
        let mut inner = 0;
        // Nested groups are other modules' names.
        let flat = group.filter(|c| {
            inner += i32::from(*c == '{');
            let keep = inner == 0;
            inner -= i32::from(*c == '}');
            keep
        });
        let flat: String = flat.collect();
        flat.split(',').any(|member| member.split([':', ' ']).next() == Some(name))
    })
}

/// The code without comments and the insides of literals, without space around `::`.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest, code.chars().next_back());
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(if first.is_whitespace() { ' ' } else { first });
            rest = &rest[first.len_utf8()..];
        }
    }
    let words: Vec<&str> = code.split(' ').filter(|word| !word.is_empty()).collect();
    let code = words.join(" ").replace(" ::", "::").replace(":: ", "::");
    code.replace("{ ", "{").replace(", ", ",")
}

/// Length of the literal or comment that `rest` begins with; zero if it begins with neither.
fn literal_or_comment(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with('r') && !in_word {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            return rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len());
        }
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    // A lifetime has no closing quote behind its first character.
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some('\\'), _) => quoted(rest, '\''),
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}
