//! Which folders of a project are read.

use super::*;

fn project(settings: &str) -> MemoryFiles {
    let files = user(settings).with("/w/.codex/config.toml", "model = 'project'");
    files.folder("/w/.git");
    files.folder("/w/sub/.codex");
    files
}

fn in_sub() -> ConfigAsk {
    ConfigAsk::new("/h", "/w/sub")
}

#[test]
fn only_trusted_folders_are_read() {
    let trusted = |key: &str| format!("projects.'{key}'.trust_level = 'trusted'");
    let model = |files: &MemoryFiles| loaded(files, &in_sub()).config.model.slug.clone();
    assert_eq!(model(&project("")), None);
    // The folder itself, and the root for what lies in it; with links and slashes as they come.
    for key in ["/w", "/w/", "/w/./x/.."] {
        assert_eq!(
            model(&project(&trusted(key))).as_deref(),
            Some("project"),
            "{key}"
        );
    }
    assert_eq!(model(&project(&trusted("/w/sub"))), None);
    let config = loaded(&project(&trusted("/w")), &in_sub()).config;
    assert_eq!(config.permissions.trust, Some(TrustLevel::Trusted));
    assert_eq!(config.permissions.sandbox_mode, SandboxMode::WorkspaceWrite);
}

#[test]
fn a_folder_inside_can_be_trusted_less() {
    let settings = format!("{TRUST_W}projects.'/w/sub'.trust_level = 'untrusted'");
    let files = project(&settings).with("/w/sub/.codex/config.toml", "model = 'sub'");
    let Loaded {
        config, warnings, ..
    } = loaded(&files, &in_sub());
    assert_eq!(config.model.slug.as_deref(), Some("project"));
    assert_eq!(
        config.permissions.approval_policy,
        AskForApproval::Untrusted
    );
    let [warning] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    let reason = "    1. /w/sub/.codex\n       /w/sub is marked as untrusted in /h/config.toml. \
                  To load config.toml, mark it trusted.\n";
    assert!(warning.summary.ends_with(reason), "{}", warning.summary);
}

#[test]
fn untrusted_folders_are_warned_about_from_the_root_down() {
    let files = project("").with("/w/sub/.codex/config.toml", "x=");
    let begun = startup(&files, &in_sub());
    let expected = "Project config.toml files are disabled in the following folders. Settings in \
        those files are ignored, but skills and exec policies still load.\n\
        \u{20}   1. /w/.codex\n\
        \u{20}      To load config.toml, add /w as a trusted project in /h/config.toml.\n\
        \u{20}   2. /w/sub/.codex\n\
        \u{20}      To load config.toml, add /w as a trusted project in /h/config.toml.\n";
    let [warning] = begun.warnings.as_slice() else {
        panic!("{:?}", begun.warnings)
    };
    assert_eq!(warning.summary, expected);
    let json = serde_json::to_value(warning).expect("serialises");
    assert_eq!(
        json,
        serde_json::json!({"summary": expected, "details": null})
    );
}

#[test]
fn a_broken_file_in_a_trusted_folder_is_an_error_without_its_text() {
    let files = project(TRUST_W).with("/w/.codex/config.toml", "key = 'sk-secret");
    let error = error(&files, &in_sub());
    let text = error.to_string();
    let start =
        "Error parsing project config file /w/.codex/config.toml: TOML parse error at line 1";
    assert!(
        text.starts_with(start) && !text.contains("sk-secret"),
        "{text}"
    );
    assert_eq!(error.path(), Some(Path::new("/w/.codex/config.toml")));
}

#[test]
fn the_state_folder_is_no_project() {
    let files = MemoryFiles::new().with("/u/.codex/config.toml", "model = 'm'");
    let Loaded {
        layers, warnings, ..
    } = loaded(&files, &ConfigAsk::new("/u/.codex", "/u"));
    assert_eq!((layers.iter().count(), warnings.len()), (2, 0));
    files.link("/link", "/u/.codex");
    let by_link = loaded(&files, &ConfigAsk::new("/link", "/u"));
    assert_eq!(by_link.layers.iter().count(), 2);
}

#[test]
fn markers_of_the_user_make_the_root() {
    let files = user("project_root_markers = ['.hg']\nprojects.'/'.trust_level = 'trusted'")
        .with("/.codex/config.toml", "model = 'top'");
    files.folder("/.hg");
    files.folder("/w/.git");
    assert_eq!(
        loaded(&files, &ask()).config.model.slug.as_deref(),
        Some("top")
    );
    files.put(
        USER,
        "project_root_markers = []\nprojects.'/'.trust_level = 'trusted'",
    );
    assert_eq!(loaded(&files, &ask()).config.model.slug, None);
}

/// A checkout at `/main` with a linked worktree at `/tree`, as git lays them out.
fn worktree() -> MemoryFiles {
    let files = user("projects.'/main'.trust_level = 'trusted'")
        .with("/tree/.git", "gitdir: /main/.git/worktrees/tree\n")
        .with("/tree/.codex/config.toml", "model = 'tree'")
        .with("/main/.git/worktrees/tree/commondir", "../..\n");
    files.put("/main/.git/worktrees/tree/gitdir", "/tree/.git\n");
    files
}

#[test]
fn a_worktree_inherits_trust_only_if_the_main_checkout_knows_it() {
    let ask = ConfigAsk::new("/h", "/tree");
    let files = worktree();
    assert_eq!(
        loaded(&files, &ask).config.model.slug.as_deref(),
        Some("tree")
    );
    // Somebody else's folder that only claims to be that worktree.
    files.put("/main/.git/worktrees/tree/gitdir", "/elsewhere/.git\n");
    assert_eq!(loaded(&files, &ask).config.model.slug, None);
    // A registration of its own making does not help either.
    let forged = worktree();
    forged.put("/tree/.git", "gitdir: /tree/fake\n");
    forged.put("/tree/fake/commondir", "/main/.git\n");
    forged.put("/tree/fake/gitdir", "/tree/.git\n");
    assert_eq!(loaded(&forged, &ask).config.model.slug, None);
    forged.put("/tree/.git", "gitdir: /main/.git\n");
    assert_eq!(loaded(&forged, &ask).config.model.slug, None);
}
