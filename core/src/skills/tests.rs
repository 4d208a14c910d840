//! Skills on files in memory.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;

use super::{SkillPlace, SkillsRead, fuzz_skill, list, section, usable};
use crate::config::{ConfigAsk, load};
use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};
use crate::wire::v2::skills::{SkillScope, SkillsListEntry};

fn head(name: &str) -> String {
    format!("---\nname: {name}\ndescription: about {name}\n---\nbody of {name}\n")
}

fn ask() -> ConfigAsk {
    ConfigAsk::new("/h", "/w/sub")
}

fn listed(files: &MemoryFiles) -> SkillsListEntry {
    let cwds = vec![("sub".to_owned(), PathBuf::from("/w/sub"))];
    let mut data = list(files, &ask(), cwds).data;
    assert_eq!(data.len(), 1);
    data.remove(0)
}

/// Paths of the skills that do not come with the server.
fn paths(files: &MemoryFiles) -> Vec<String> {
    let skills = listed(files).skills.into_iter();
    skills.filter(|skill| skill.scope != SkillScope::System).map(|skill| skill.path).collect()
}

#[test]
fn scopes_order_the_list_and_those_of_the_server_are_in_it() {
    let files = MemoryFiles::new()
        .with("/etc/codex/skills/adm/SKILL.md", head("adm"))
        .with("/h/skills/z/SKILL.md", head("same"))
        .with("/h/skills/a/SKILL.md", head("same"))
        .with("/w/.git", "")
        .with("/w/.codex/skills/outer/SKILL.md", head("outer"))
        .with("/w/sub/.codex/config.toml", "model = 'not trusted'")
        .with("/w/sub/.codex/skills/inner/SKILL.md", head("inner"));
    let entry = listed(&files);
    assert_eq!((entry.cwd.as_str(), entry.errors.len()), ("sub", 0));
    let found: Vec<_> = entry.skills.iter().map(|s| (s.scope, s.name.as_str())).collect();
    use SkillScope::{Admin, Repo, System, User};
    assert_eq!(
        found,
        [
            (Repo, "inner"),
            (Repo, "outer"),
            (User, "same"),
            (User, "same"),
            (System, "skill-creator"),
            (System, "skill-installer"),
            (Admin, "adm"),
        ]
    );
    assert_eq!(entry.skills[2].path, "/h/skills/a/SKILL.md");
    let creator = serde_json::to_value(&entry.skills[4]).expect("JSON");
    let folder = "/h/skills/.system/skill-creator/assets";
    assert_eq!(
        creator["interface"],
        json!({
            "displayName": "Skill Creator",
            "shortDescription": "Create or update a skill",
            "iconSmall": format!("{folder}/skill-creator-small.svg"),
            "iconLarge": format!("{folder}/skill-creator.png"),
            "brandColor": null,
            "defaultPrompt": null,
        })
    );
}

#[test]
fn the_search_goes_six_folders_deep_and_past_hidden_ones() {
    let files = MemoryFiles::new()
        .with("/h/skills/1/2/3/4/5/6/SKILL.md", head("deep"))
        .with("/h/skills/1/2/3/4/5/6/7/SKILL.md", head("deeper"))
        .with("/h/skills/.hidden/SKILL.md", head("hidden"))
        .with("/h/skills/a/skill.md", head("small"))
        .with("/h/skills/SKILL.md", head("top"));
    assert_eq!(paths(&files), ["/h/skills/1/2/3/4/5/6/SKILL.md", "/h/skills/SKILL.md"]);
}

#[test]
fn links_to_folders_are_followed_once_and_links_to_files_are_not() {
    let files = MemoryFiles::new()
        .with("/elsewhere/SKILL.md", head("x"))
        .with("/h/skills/real/SKILL.md", head("y"));
    files.link("/h/skills/one", "/elsewhere");
    files.link("/h/skills/two", "/elsewhere");
    files.link("/h/skills/loop", "/h/skills");
    files.link("/h/skills/file/SKILL.md", "/elsewhere/SKILL.md");
    assert_eq!(paths(&files), ["/elsewhere/SKILL.md", "/h/skills/real/SKILL.md"]);
}

#[test]
fn a_file_that_is_no_skill_is_an_error_and_hinders_none() {
    let files = MemoryFiles::new()
        .with("/h/skills/a/SKILL.md", "---\nname: a\n---\n")
        .with("/h/skills/b/SKILL.md", [0xff])
        .with("/h/skills/c/SKILL.md", head("c"))
        .with("/h/skills/d/SKILL.md", head("d"));
    files.inject(|op, path| {
        let hit = op == FileOp::Read && path.starts_with("/h/skills/d");
        hit.then(|| FileError { kind: FileErrorKind::Denied, text: "denied".to_owned() })
    });
    let entry = listed(&files);
    let errors: Vec<_> = entry.errors.iter().map(|e| (&*e.path, &*e.message)).collect();
    assert_eq!(
        errors,
        [
            ("/h/skills/a/SKILL.md", "invalid YAML: missing field `description`"),
            ("/h/skills/b/SKILL.md", "failed to read file: stream did not contain valid UTF-8"),
            ("/h/skills/d/SKILL.md", "failed to read file: denied"),
        ]
    );
    assert_eq!(paths(&files), ["/h/skills/c/SKILL.md"]);
}

#[test]
fn a_configuration_at_fault_is_said_and_skills_are_listed() {
    let files = MemoryFiles::new()
        .with("/h/config.toml", "model = ")
        .with("/h/skills/a/SKILL.md", head("a"));
    let entry = listed(&files);
    assert_eq!(entry.errors.len(), 1);
    assert_eq!(entry.errors[0].path, "sub");
    assert!(entry.errors[0].message.starts_with("/h/config.toml:1:"), "{:?}", entry.errors);
    assert_eq!(paths(&files), ["/h/skills/a/SKILL.md"]);
}

#[test]
fn a_skill_that_is_switched_off_is_listed_and_not_told() {
    let files = MemoryFiles::new()
        .with("/real/a/SKILL.md", head("a"))
        .with("/h/skills/b/SKILL.md", head("b"));
    files.link("/h/skills/a", "/real/a");
    let told = |files: &MemoryFiles| {
        let loaded = load(files, &ask()).expect("a configuration");
        let skills = usable(files, Path::new("/h"), &loaded.layers, &loaded.config);
        section(&skills).unwrap_or_default()
    };
    assert!(told(&files).contains("- a: about a (file: /real/a/SKILL.md)\n- b: about b"));
    let off = "[[skills.config]]\npath = '/h/skills/a/SKILL.md'\nenabled = false\n\
               [[skills.config]]\npath = 'skills/b/SKILL.md'\nenabled = false\n";
    files.put("/h/config.toml", off);
    assert!(!told(&files).contains("about a") && !told(&files).contains("about b"));
    let enabled: Vec<_> = listed(&files).skills.iter().map(|s| (s.enabled, s.scope)).collect();
    assert_eq!(enabled.iter().filter(|(on, _)| *on).count(), 2, "{enabled:?}");
    assert!(enabled.iter().all(|(on, scope)| *on == (*scope == SkillScope::System)));
}

#[test]
fn named_skills_are_read_whole() {
    let files = MemoryFiles::new().with("/s/a/SKILL.md", head("a"));
    let place =
        |name: &str| SkillPlace { name: name.into(), path: format!("/s/{name}/SKILL.md").into() };
    let found = SkillsRead { skills: vec![place("a"), place("b")] }.run(&files).0;
    assert_eq!(found[0], (place("a"), Ok(head("a"))));
    assert!(found[1].1.as_ref().is_err_and(|text| text.contains("No such file")));
}

proptest! {
    #[test]
    fn any_text_can_be_a_skill(
        text in "(---\n)?(name: |description: |metadata:\n  short-description: |[a-z]{1,3}|\n|[\\[\\]{}:'\"#&*|>!%@`?, \t-]|é){0,30}\n?(---\n)?",
    ) {
        fuzz_skill(text.as_bytes());
        fuzz_skill(format!("---\nname: n\ndescription: d\n{text}\n---\n").as_bytes());
    }
}
