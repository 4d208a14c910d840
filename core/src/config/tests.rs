//! The room as a whole, on files in memory: what counts, what is warned about, what holds when
//! something is broken.

use std::path::Path;

use super::kinds::{AskForApproval, LoginMethod, SandboxMode, TrustLevel};
use super::requirements::McpIdentity;
use super::{
    Config, ConfigAsk, ConfigError, Feature, LayerSource, Loaded, Overrides, TextPosition, load,
    load_or_default, origins, startup,
};
use crate::files::{FileError, FileErrorKind, FileOp, MemoryFiles};

const USER: &str = "/h/config.toml";
const REQUIREMENTS: &str = "/etc/codex/requirements.toml";
const MANAGED: &str = "/etc/codex/managed_config.toml";
const TRUST_W: &str = "projects.'/w'.trust_level = 'trusted'\n";

fn ask() -> ConfigAsk {
    ConfigAsk::new("/h", "/w")
}

fn flags(raw: &[&str]) -> ConfigAsk {
    let raw: Vec<String> = raw.iter().map(|s| (*s).to_owned()).collect();
    ConfigAsk {
        overrides: Overrides::parse(&raw).expect("flags"),
        ..ask()
    }
}

fn request(key: &str, value: serde_json::Value) -> ConfigAsk {
    ConfigAsk {
        request: vec![(key.to_owned(), value)],
        ..ask()
    }
}

fn user(text: &str) -> MemoryFiles {
    MemoryFiles::new().with(USER, text)
}

fn loaded(files: &MemoryFiles, ask: &ConfigAsk) -> Loaded {
    load(files, ask).expect("a configuration")
}

fn error(files: &MemoryFiles, ask: &ConfigAsk) -> ConfigError {
    load(files, ask).expect_err("an error")
}

/// The range of an error as numbers: line and column, first and last.
fn place(error: &ConfigError) -> Option<[usize; 4]> {
    let range = error.range()?;
    let TextPosition { line, column } = range.end;
    Some([range.start.line, range.start.column, line, column])
}

#[test]
fn defaults_hold_when_nothing_is_said() {
    let Loaded {
        config,
        layers,
        warnings,
    } = loaded(&MemoryFiles::new(), &ask());
    assert_eq!(
        (config.provider_id.as_str(), config.model.as_deref()),
        ("openai", None)
    );
    assert_eq!(config.approval_policy, AskForApproval::OnRequest);
    assert_eq!(config.sandbox_mode, SandboxMode::ReadOnly);
    assert_eq!(config.chatgpt_base_url, "https://chatgpt.com/backend-api/");
    assert_eq!(config.project_doc_max_bytes, 32768);
    let sources: Vec<_> = layers.iter().map(|layer| layer.source.file()).collect();
    assert_eq!(
        sources,
        [Some("/etc/codex/config.toml".into()), Some(USER.into())]
    );
    assert!(warnings.is_empty());
}

#[test]
fn layers_win_by_precedence() {
    let files = user(&format!(
        "{TRUST_W}model = 'user'\nreview_model = 'user'\nnotify = ['u']"
    ))
    .with(
        "/etc/codex/config.toml",
        "model = 'system'\nmodel_context_window = 1",
    )
    .with(
        "/w/.codex/config.toml",
        "review_model = 'project'\nnotify = ['p', 'q']",
    )
    .with(MANAGED, "model_verbosity = 'low'");
    let config = loaded(&files, &flags(&["model=flag", "model_verbosity=high"])).config;
    assert_eq!(config.model.as_deref(), Some("flag"));
    assert_eq!(config.review_model.as_deref(), Some("project"));
    assert_eq!(config.model_context_window, Some(1));
    assert_eq!(
        config.notify.as_deref(),
        Some(["p".to_owned(), "q".to_owned()].as_slice())
    );
    assert_eq!(config.verbosity.map(|v| v.as_str()), Some("low"));
}

#[test]
fn a_profile_beats_files_and_loses_to_the_session_and_the_request() {
    let files =
        user("profile = 'p'\nmodel = 'a'\nprofiles.p = {model = 'b', features.undo = true}");
    let model = |ask: &ConfigAsk| loaded(&files, ask).config.model.clone();
    let config = loaded(&files, &ask()).config;
    assert_eq!(
        (config.model.as_deref(), config.active_profile.as_deref()),
        (Some("b"), Some("p"))
    );
    assert!(config.features.has(Feature::Undo));
    assert_eq!(model(&flags(&["model=c"])).as_deref(), Some("c"));
    assert_eq!(model(&request("model", "d".into())).as_deref(), Some("d"));
    let mut chosen = ask();
    chosen.choices.model = Some("e".to_owned());
    assert_eq!(model(&chosen).as_deref(), Some("e"));
}

#[test]
fn null_in_a_request_asks_for_nothing() {
    let files = user("model = 'a'");
    let config = loaded(&files, &request("model", serde_json::Value::Null)).config;
    assert_eq!(config.model.as_deref(), Some("a"));
    let nested = serde_json::json!({"p": {"name": "P", "base_url": null, "stream_max_retries": 7}});
    let config = loaded(&files, &request("model_providers", nested)).config;
    let provider = config.providers.get("p").expect("the provider");
    assert_eq!(
        (provider.base_url.as_deref(), provider.stream_max_retries),
        (None, 7)
    );
}

#[test]
fn origins_name_layers_and_versions() {
    let files = user("model = 'a'\nmodel_reasoning_effort = 'low'");
    let layers = loaded(&files, &flags(&["model=b"])).layers;
    let origins = origins(&layers);
    let user_version = layers.user().map(|layer| layer.version.as_str());
    assert_eq!(
        origins.get("model").map(|o| &o.name),
        Some(&LayerSource::SessionFlags)
    );
    assert_eq!(
        origins
            .get("model_reasoning_effort")
            .map(|o| o.version.as_str()),
        user_version
    );
}

#[test]
fn paths_are_those_of_the_file_they_stand_in() {
    let files = user(&format!("{TRUST_W}model_instructions_file = 'mine.md'"))
        .with("/h/mine.md", "be good\n")
        .with(
            "/w/.codex/config.toml",
            "sandbox_workspace_write.writable_roots = ['rel', '/abs']",
        );
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.base_instructions.as_deref(), Some("be good"));
    let roots = [Path::new("/w/.codex/rel"), Path::new("/abs")];
    assert_eq!(config.workspace_write.writable_roots, roots);
    let config = loaded(&files, &flags(&["model_instructions_file=mine.md"])).config;
    assert_eq!(config.base_instructions.as_deref(), Some("be good"));
}

#[test]
fn faults_in_the_users_file_are_located() {
    let cases = [
        ("model = \"x\n", [1, 11, 1, 11]),
        ("model = \"x\"\napproval_policy = = 1\n", [2, 19, 2, 19]),
        ("\napproval_policy = \"nope\"", [2, 19, 2, 24]),
        (
            "model = \"x\"\nsandbox_mode = \"no-such-mode\"\n",
            [2, 16, 2, 29],
        ),
        ("model = 5", [1, 9, 1, 9]),
        ("[features]\nundo=true\ncollab=1", [3, 8, 3, 8]),
        ("[model_providers.p]\nbase_url=\"x\"", [1, 1, 1, 19]),
        ("notify=[\"a\",1]", [1, 13, 1, 13]),
        ("mcp_oauth_callback_port=70000", [1, 25, 1, 29]),
        ("[mcp_servers.m]\nenabled=true", [1, 1, 1, 15]),
        ("x=", [1, 3, 1, 3]),
        ("a=1\nb=2\na=3", [3, 1, 3, 1]),
    ];
    for (text, expected) in cases {
        let error = error(&user(text), &ask());
        assert_eq!(place(&error), Some(expected), "{text:?}: {error}");
        assert_eq!(error.path(), Some(Path::new(USER)));
        let [line, column, ..] = expected;
        assert!(
            error
                .to_string()
                .starts_with(&format!("{USER}:{line}:{column}: ")),
            "{error}"
        );
    }
    let text = error(&user("sandbox_mode = 'no'"), &ask()).to_string();
    let expected = "/h/config.toml:1:16: unknown variant `no`, expected one of `read-only`, \
                    `workspace-write`, `danger-full-access`";
    assert_eq!(text, expected);
}

#[test]
fn faults_without_a_place_keep_their_text() {
    let none = MemoryFiles::new();
    let cases = [
        (
            &none,
            flags(&["model=3"]),
            "invalid type: integer `3`, expected a string\nin `model`\n",
        ),
        (
            &none,
            flags(&["model_provider=zzz"]),
            "Model provider `zzz` not found",
        ),
        (
            &none,
            flags(&["profile=zzz"]),
            "config profile `zzz` not found",
        ),
        (
            &none,
            flags(&["agents.max_threads=0"]),
            "agents.max_threads must be at least 1",
        ),
        (
            &none,
            flags(&["model_instructions_file=/none"]),
            "failed to read model instructions file /none: No such file or directory (os error 2)",
        ),
    ];
    for (files, ask, expected) in cases {
        let error = error(files, &ask);
        assert_eq!(
            (error.to_string().as_str(), place(&error)),
            (expected, None)
        );
    }
    let blank = user("model_instructions_file = '/blank'").with("/blank", " \n");
    assert_eq!(
        error(&blank, &ask()).to_string(),
        "model instructions file is empty: /blank"
    );
}

#[test]
fn the_process_starts_in_spite_of_a_broken_file() {
    let begun = startup(&user("model = \"x\n"), &flags(&["review_model=r"]));
    let [warning] = begun.warnings.as_slice() else {
        panic!("{:?}", begun.warnings)
    };
    assert_eq!(
        serde_json::to_value(warning).expect("serialises"),
        serde_json::json!({
            "summary": "Invalid configuration; using defaults.",
            "details": "/h/config.toml:1:11: invalid basic string, expected `\"`",
            "path": "/h/config.toml",
            "range": {"start": {"line": 1, "column": 11}, "end": {"line": 1, "column": 11}},
        })
    );
    assert_eq!(
        (begun.config.model.as_deref(), begun.flags_error),
        (None, None)
    );
    assert_eq!(begun.config.review_model.as_deref(), Some("r"));
    let user = begun.layers.user().expect("the layer is still shown");
    assert!(
        user.disabled
            .as_deref()
            .is_some_and(|reason| reason.contains(":1:11:"))
    );
}

#[test]
fn a_semantic_fault_puts_its_layer_aside() {
    let files = user("model_provider = 'zzz'\nmodel = 'm'")
        .with("/etc/codex/config.toml", "forced_login_method = 'chatgpt'");
    let begun = startup(&files, &ask());
    let details = begun.warnings.first().and_then(|w| w.details.as_deref());
    assert_eq!(details, Some("Model provider `zzz` not found"));
    assert_eq!(
        (begun.config.provider_id.as_str(), &begun.config.model),
        ("openai", &None)
    );
    assert_eq!(begun.config.forced_login_method, Some(LoginMethod::Chatgpt));
}

#[test]
fn flags_at_fault_are_reported_apart() {
    let begun = startup(&user("review_model = 'r'"), &flags(&["model=3"]));
    assert!(
        begun
            .flags_error
            .is_some_and(|e| e.to_string().contains("in `model`"))
    );
    assert_eq!(begun.config.review_model.as_deref(), Some("r"));
    assert_eq!(begun.warnings.len(), 1);
}

#[test]
fn in_doubt_files_permit_nothing_but_stricter_things() {
    // The project's file is broken: what it wanted to forbid is not known.
    let loose = "approval_policy = 'never'\nsandbox_mode = 'danger-full-access'\nmodel = 'm'\n";
    let files = user(&format!("{loose}{TRUST_W}")).with("/w/.codex/config.toml", "x=");
    let config = startup(&files, &ask()).config;
    assert_eq!(config.approval_policy, AskForApproval::OnRequest);
    assert_eq!(config.sandbox_mode, SandboxMode::ReadOnly);
    assert_eq!(config.model.as_deref(), Some("m"));
    let asked = startup(&files, &flags(&["sandbox_mode=workspace-write"])).config;
    assert_eq!(asked.sandbox_mode, SandboxMode::WorkspaceWrite);
    files.put(USER, format!("approval_policy = 'untrusted'\n{TRUST_W}"));
    assert_eq!(
        startup(&files, &ask()).config.approval_policy,
        AskForApproval::Untrusted
    );
}

#[test]
fn threads_fall_back_for_files_and_fail_for_requests() {
    let broken = user("review_model = 3");
    let fallen = load_or_default(&broken, &request("model", "m".into())).expect("defaults");
    assert_eq!(
        (fallen.config.model.as_deref(), fallen.warnings.len()),
        (Some("m"), 1)
    );

    let mut chosen = ask();
    chosen.choices.model_provider = Some("no-such".to_owned());
    let cases = [
        (chosen, "Model provider `no-such` not found"),
        (
            request("profile", "p".into()),
            "config profile `p` not found",
        ),
        (
            request("approval_policy", "sometimes".into()),
            "unknown variant `sometimes`, expected one of `untrusted`, `on-failure`, `on-request`, \
             `never`\nin `approval_policy`\n",
        ),
    ];
    for (ask, expected) in cases {
        for files in [&MemoryFiles::new(), &broken] {
            let error = load_or_default(files, &ask).expect_err("the request's fault");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[test]
fn a_request_that_repairs_the_files_is_served() {
    let files = user("model_provider = 'zzz'");
    let served = load_or_default(&files, &request("model_provider", "ollama".into()));
    assert_eq!(served.expect("a provider").config.provider_id, "ollama");
}

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
    let model = |files: &MemoryFiles| loaded(files, &in_sub()).config.model.clone();
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
    assert_eq!(config.trust, Some(TrustLevel::Trusted));
    assert_eq!(config.sandbox_mode, SandboxMode::WorkspaceWrite);
}

#[test]
fn a_folder_inside_can_be_trusted_less() {
    let settings = format!("{TRUST_W}projects.'/w/sub'.trust_level = 'untrusted'");
    let files = project(&settings).with("/w/sub/.codex/config.toml", "model = 'sub'");
    let Loaded {
        config, warnings, ..
    } = loaded(&files, &in_sub());
    assert_eq!(config.model.as_deref(), Some("project"));
    assert_eq!(config.approval_policy, AskForApproval::Untrusted);
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
        those files are ignored, but skills and exec policies still load.\n    1. /w/.codex\n       \
        To load config.toml, add /w as a trusted project in /h/config.toml.\n    2. /w/sub/.codex\n       \
        To load config.toml, add /w as a trusted project in /h/config.toml.\n";
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
    assert_eq!(loaded(&files, &ask()).config.model.as_deref(), Some("top"));
    files.put(
        USER,
        "project_root_markers = []\nprojects.'/'.trust_level = 'trusted'",
    );
    assert_eq!(loaded(&files, &ask()).config.model, None);
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
    assert_eq!(loaded(&files, &ask).config.model.as_deref(), Some("tree"));
    // Somebody else's folder that only claims to be that worktree.
    files.put("/main/.git/worktrees/tree/gitdir", "/elsewhere/.git\n");
    assert_eq!(loaded(&files, &ask).config.model, None);
    // A registration of its own making does not help either.
    let forged = worktree();
    forged.put("/tree/.git", "gitdir: /tree/fake\n");
    forged.put("/tree/fake/commondir", "/main/.git\n");
    forged.put("/tree/fake/gitdir", "/tree/.git\n");
    assert_eq!(loaded(&forged, &ask).config.model, None);
    forged.put("/tree/.git", "gitdir: /main/.git\n");
    assert_eq!(loaded(&forged, &ask).config.model, None);
}

#[test]
fn requirements_refuse_what_is_not_allowed() {
    let files = user("sandbox_mode = 'danger-full-access'").with(
        REQUIREMENTS,
        "allowed_sandbox_modes = ['read-only', 'workspace-write']",
    );
    let text = "invalid value for `sandbox_mode`: `DangerFullAccess` is not in the allowed set \
                [ReadOnly, WorkspaceWrite] (set by /etc/codex/requirements.toml)";
    assert_eq!(error(&files, &ask()).to_string(), text);
    // They hold for the defaults that take its place, and when the user's file is no TOML at all.
    for broken in ["sandbox_mode = 'danger-full-access'", "x="] {
        files.put(USER, broken);
        let config = startup(&files, &ask()).config;
        assert_eq!(config.sandbox_mode, SandboxMode::ReadOnly);
        let full = config
            .requirements
            .check_sandbox(SandboxMode::DangerFullAccess.into());
        assert_eq!(full.map_err(|e| e.to_string()), Err(text.to_owned()));
    }
    let mut chosen = ask();
    chosen.choices.sandbox_mode = Some(SandboxMode::DangerFullAccess);
    let refused = load_or_default(&files, &chosen).map_err(|e| e.to_string());
    assert_eq!(refused.err().as_deref(), Some(text));
}

#[test]
fn a_default_that_is_not_allowed_gives_way() {
    let files = user(TRUST_W).with(
        REQUIREMENTS,
        "allowed_approval_policies = ['never']\nallowed_sandbox_modes = ['read-only']",
    );
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.approval_policy, AskForApproval::Never);
    assert_eq!(config.sandbox_mode, SandboxMode::ReadOnly);
}

#[test]
fn the_managed_file_sets_and_requires() {
    let files = user("approval_policy = 'never'").with(
        MANAGED,
        "approval_policy = 'on-request'\nsandbox_mode = 'workspace-write'",
    );
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.approval_policy, AskForApproval::OnRequest);
    assert_eq!(config.sandbox_mode, SandboxMode::WorkspaceWrite);
    let mut chosen = ask();
    chosen.choices.approval_policy = Some(AskForApproval::Never);
    let text = "invalid value for `approval_policy`: `Never` is not in the allowed set [OnRequest] \
                (set by /etc/codex/managed_config.toml)";
    assert_eq!(error(&files, &chosen).to_string(), text);
}

#[test]
fn the_first_source_of_a_requirement_wins_field_by_field() {
    let files = MemoryFiles::new()
        .with(
            REQUIREMENTS,
            "allowed_approval_policies = ['untrusted', 'on-request']",
        )
        .with(
            MANAGED,
            "approval_policy = 'on-request'\nsandbox_mode = 'read-only'",
        );
    let found = loaded(&files, &ask()).config.requirements.clone();
    let approvals = found.approvals.expect("a rule");
    assert_eq!(
        (approvals.value.len(), approvals.source.as_str()),
        (2, REQUIREMENTS)
    );
    assert_eq!(
        found.sandboxes.map(|rule| rule.source).as_deref(),
        Some(MANAGED)
    );
}

#[test]
fn requirements_that_cannot_be_read_allow_the_least() {
    let settings = "approval_policy = 'never'\nmcp_servers.m.command = 'x'\nmodel = 'm'";
    let strictest = |config: &Config| {
        assert_eq!(config.approval_policy, AskForApproval::Untrusted);
        assert_eq!(config.sandbox_mode, SandboxMode::ReadOnly);
        assert_eq!(config.model.as_deref(), Some("m"));
        let write = config
            .requirements
            .check_sandbox(SandboxMode::WorkspaceWrite.into());
        assert!(write.is_err());
    };
    for broken in [
        "x=",
        "allowed_approval_policies = []",
        "allowed_sandbox_modes = []",
    ] {
        let files = user(settings).with(REQUIREMENTS, broken);
        let begun = startup(&files, &ask());
        strictest(&begun.config);
        assert!(
            begun
                .config
                .mcp_servers
                .values()
                .all(|server| !server.enabled)
        );
        assert_eq!(begun.warnings.len(), 1, "{broken}");
    }
    let denied = user(settings).with(REQUIREMENTS, "");
    denied.inject(|op, path| {
        let hit = op == FileOp::Read && path == Path::new(REQUIREMENTS);
        hit.then(|| FileError {
            kind: FileErrorKind::Denied,
            text: "denied".to_owned(),
        })
    });
    let begun = startup(&denied, &ask());
    strictest(&begun.config);
    let details = begun.warnings.first().and_then(|w| w.details.as_deref());
    let expected = "Failed to read requirements file /etc/codex/requirements.toml: denied";
    assert_eq!(details, Some(expected));
    // A managed file that cannot be read may have been one that restricts.
    let managed = startup(&user(settings).with(MANAGED, "x="), &ask());
    strictest(&managed.config);
    assert!(
        managed
            .config
            .mcp_servers
            .values()
            .all(|server| server.enabled)
    );
}

#[test]
fn mcp_servers_have_to_be_who_they_should_be() {
    let files = user(
        "mcp_servers.a.command = 'a'\nmcp_servers.b.command = 'evil'\nmcp_servers.c.url = 'http://c'",
    )
    .with(
        REQUIREMENTS,
        "mcp_servers.a.identity.command = 'a'\nmcp_servers.b.identity.command = 'b'",
    );
    let config = loaded(&files, &ask()).config;
    let enabled: Vec<_> = config
        .mcp_servers
        .iter()
        .map(|(n, s)| (n.as_str(), s.enabled))
        .collect();
    assert_eq!(enabled, [("a", true), ("b", false), ("c", false)]);
    let reason = config
        .mcp_servers
        .get("b")
        .and_then(|b| b.disabled_reason.as_deref());
    assert_eq!(reason, Some("requirements (/etc/codex/requirements.toml)"));
    let rule = config.requirements.mcp_servers.as_ref().expect("a rule");
    assert_eq!(
        rule.value.get("a"),
        Some(&McpIdentity::Command("a".to_owned()))
    );
}

#[test]
fn blank_settings_are_unset() {
    let files = user("forced_chatgpt_workspace_id = '  '\ncompact_prompt = ' '");
    let config = loaded(&files, &ask()).config;
    assert_eq!(
        (&config.forced_chatgpt_workspace_id, &config.compact_prompt),
        (&None, &None)
    );
    files.put(USER, "forced_chatgpt_workspace_id = ' org-1 '");
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.forced_chatgpt_workspace_id.as_deref(), Some("org-1"));
}

#[test]
fn unknown_keys_are_let_through() {
    let files = user("plain = 'text'\nfeatures.zzz = true\nmodel_providers.p = {name='P', new=1}");
    let layers = loaded(&files, &ask()).layers;
    assert!(layers.effective().contains_key("plain"));
}

#[test]
fn no_debug_shows_a_secret() {
    let files = user(
        "model_provider = 'p'\nmodel_providers.p = {name = 'P', experimental_bearer_token = 'sk-1'}\n\
         mcp_servers.m = {command = 'x', env = {A = 'sk-2'}}\nshell_environment_policy.set.B = 'sk-3'\n\
         otel.exporter.otlp-grpc = {endpoint = 'x', headers = {C = 'sk-4'}}",
    );
    let ask = request("mcp_servers.n.env.D", "sk-5".into());
    let ask = ConfigAsk {
        request: [
            ask.request,
            vec![("mcp_servers.n.command".into(), "y".into())],
        ]
        .concat(),
        ..ask
    };
    let shown = format!("{:?} {ask:?}", loaded(&files, &ask));
    assert!(
        shown.contains("mcp_servers") && !shown.contains("sk-"),
        "{shown}"
    );
}
