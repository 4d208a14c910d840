//! The documents keep up with the code.
//!
//! Method: what they name is looked up in the tree, and what the tree has is looked up in them. What
//! `docs/rules.md` says is checked from inside the crate (`inside/rules_file.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own project has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/embedding.md", "examples/README.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between single backquotes.
fn quoted(document: &str) -> BTreeSet<&str> {
    document.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_room_has_its_place_on_the_map() {
    let map = text("ARCHITECTURE.md");
    let named = quoted(&map);
    for entry in fs::read_dir(root().join("core/src")).unwrap() {
        let path = entry.unwrap().path();
        let room = path.file_stem().unwrap().to_str().unwrap();
        assert!(room == "lib" || named.contains(room), "ARCHITECTURE.md does not name {room}");
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let map = text("ARCHITECTURE.md");
    let (_, reasons) = map.split_once("\n## Dependencies\n").unwrap();
    let named = quoted(reasons);
    let workspace: toml::Table = text("Cargo.toml").parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let manifest = text(&format!("{member}/Cargo.toml"));
        let manifest: toml::Table = manifest.parse().unwrap();
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let listed = manifest.get(kind).and_then(toml::Value::as_table);
            for name in listed.into_iter().flat_map(toml::Table::keys) {
                let ours = name.starts_with("understudy-");
                assert!(ours || named.contains(name.as_str()), "{member}: {name} has no reason");
            }
        }
    }
}

#[test]
fn links_and_paths_lead_somewhere() {
    for document in DOCUMENTS {
        let text = text(document);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
        let folders = ["core/", "runtime-", "fuzz/", "docs/", ".ci/"];
        let is_path = |name: &&str| {
            folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ')
        };
        // A link is seen from its page, a path in the text from the root.
        let page = root().join(document);
        let beside = page.parent().unwrap();
        let links = links.map(|link| beside.join(link));
        let paths = quoted(&text).into_iter().filter(is_path).map(|path| root().join(path));
        for path in links.chain(paths) {
            assert!(path.exists(), "{document}: {} is not there", path.display());
        }
    }
}

#[test]
fn the_loop_of_the_readme_is_the_one_that_is_tested() {
    let readme = text("README.md");
    let (_, code) = readme.split_once("```rust\n").unwrap();
    let (shown, _) = code.split_once("```").unwrap();
    let strip = |line: &str| line.trim_start_matches("//!").trim().to_owned();
    let tested: Vec<String> = text("core/src/lib.rs").lines().map(strip).collect();
    let shown: Vec<String> = shown.lines().map(strip).collect();
    assert!(shown.len() > 15, "{shown:?}");
    assert!(tested.windows(shown.len()).any(|lines| lines == shown), "the two loops differ");
}

#[test]
fn ci_runs_the_test_command_of_the_readme() {
    let readme = text("README.md");
    let commands: Vec<&str> =
        readme.split("```sh\n").skip(1).filter_map(|rest| rest.lines().next()).collect();
    let [demo, tests, ..] = commands.as_slice() else { panic!("{commands:?}") };
    assert!(demo.starts_with("cargo run ") && demo.ends_with(" demo"), "{demo}");
    let ci = text(".ci/run");
    assert!(ci.lines().any(|line| line.trim().starts_with(tests)), "{tests} is not in .ci/run");
}
