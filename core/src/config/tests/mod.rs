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

mod faults;
mod projects;
mod properties;
mod requirements;
mod shown;
mod write;

const USER: &str = "/h/config.toml";
const REQUIREMENTS: &str = "/etc/codex/requirements.toml";
const SYSTEM: &str = "/etc/codex/config.toml";
const MANAGED: &str = "/etc/codex/managed_config.toml";
const TRUST_W: &str = "projects.'/w'.trust_level = 'trusted'\n";

fn ask() -> ConfigAsk {
    ConfigAsk::new("/h", "/w")
}

fn flags(raw: &[&str]) -> ConfigAsk {
    let raw: Vec<String> = raw.iter().map(|s| (*s).to_owned()).collect();
    ConfigAsk { overrides: Overrides::parse(&raw).expect("flags"), ..ask() }
}

fn request(key: &str, value: serde_json::Value) -> ConfigAsk {
    ConfigAsk { request: vec![(key.to_owned(), value)], ..ask() }
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
    let Loaded { config, layers, warnings } = loaded(&MemoryFiles::new(), &ask());
    assert_eq!((config.provider_id.as_str(), config.model.slug.as_deref()), ("openai", None));
    assert_eq!(config.permissions.approval_policy, AskForApproval::OnRequest);
    assert_eq!(config.permissions.sandbox_mode, SandboxMode::ReadOnly);
    assert_eq!(config.login.chatgpt_base_url, "https://chatgpt.com/backend-api/");
    assert_eq!(config.instructions.project_doc_max_bytes, 32768);
    let sources: Vec<_> = layers.iter().map(|layer| layer.source.file()).collect();
    assert_eq!(sources, [Some("/etc/codex/config.toml".into()), Some(USER.into())]);
    assert!(warnings.is_empty());
}

#[test]
fn layers_win_by_precedence() {
    let files = user(&format!("{TRUST_W}model = 'user'\nreview_model = 'user'\nnotify = ['u']"))
        .with("/etc/codex/config.toml", "model = 'system'\nmodel_context_window = 1")
        .with("/w/.codex/config.toml", "review_model = 'project'\nnotify = ['p', 'q']")
        .with(MANAGED, "model_verbosity = 'low'");
    let config = loaded(&files, &flags(&["model=flag", "model_verbosity=high"])).config;
    assert_eq!(config.model.slug.as_deref(), Some("flag"));
    assert_eq!(config.model.review_slug.as_deref(), Some("project"));
    assert_eq!(config.model.context_window, Some(1));
    assert_eq!(config.notify.as_deref(), Some(["p".to_owned(), "q".to_owned()].as_slice()));
    assert_eq!(config.model.verbosity.map(|v| v.as_str()), Some("low"));
}

#[test]
fn a_profile_beats_files_and_loses_to_the_session_and_the_request() {
    let files =
        user("profile = 'p'\nmodel = 'a'\nprofiles.p = {model = 'b', features.undo = true}");
    let model = |ask: &ConfigAsk| loaded(&files, ask).config.model.slug.clone();
    let config = loaded(&files, &ask()).config;
    assert_eq!(
        (config.model.slug.as_deref(), config.active_profile.as_deref()),
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
    assert_eq!(config.model.slug.as_deref(), Some("a"));
    let nested = serde_json::json!({"p": {"name": "P", "base_url": null, "stream_max_retries": 7}});
    let config = loaded(&files, &request("model_providers", nested)).config;
    let provider = config.providers.get("p").expect("the provider");
    assert_eq!((provider.base_url.as_deref(), provider.stream_max_retries), (None, 7));
}

#[test]
fn origins_name_layers_and_versions() {
    let files = user("model = 'a'\nmodel_reasoning_effort = 'low'");
    let layers = loaded(&files, &flags(&["model=b"])).layers;
    let origins = origins(&layers);
    let user_version = layers.user().map(super::layers::Layer::version);
    assert_eq!(origins.get("model").map(|o| &o.name), Some(&LayerSource::SessionFlags));
    assert_eq!(origins.get("model_reasoning_effort").map(|o| &o.version), user_version.as_ref());
}

#[test]
fn paths_are_those_of_the_file_they_stand_in() {
    let files = user(&format!("{TRUST_W}model_instructions_file = 'mine.md'"))
        .with("/h/mine.md", "be good\n")
        .with("/w/.codex/config.toml", "sandbox_workspace_write.writable_roots = ['rel', '/abs']");
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.instructions.base.as_deref(), Some("be good"));
    let roots = [Path::new("/w/.codex/rel"), Path::new("/abs")];
    assert_eq!(config.permissions.workspace_write.writable_roots, roots);
    let config = loaded(&files, &flags(&["model_instructions_file=mine.md"])).config;
    assert_eq!(config.instructions.base.as_deref(), Some("be good"));
}

#[test]
fn faults_in_the_users_file_are_located() {
    let cases = [
        ("model = \"x\n", [1, 11, 1, 11]),
        ("model = \"x\"\napproval_policy = = 1\n", [2, 19, 2, 19]),
        ("\napproval_policy = \"nope\"", [2, 19, 2, 24]),
        ("model = \"x\"\nsandbox_mode = \"no-such-mode\"\n", [2, 16, 2, 29]),
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
        assert!(error.to_string().starts_with(&format!("{USER}:{line}:{column}: ")), "{error}");
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
        (&none, flags(&["model=3"]), "invalid type: integer `3`, expected a string\nin `model`\n"),
        (&none, flags(&["model_provider=zzz"]), "Model provider `zzz` not found"),
        (&none, flags(&["profile=zzz"]), "config profile `zzz` not found"),
        (&none, flags(&["agents.max_threads=0"]), "agents.max_threads must be at least 1"),
        (
            &none,
            flags(&["model_instructions_file=/none"]),
            "failed to read model instructions file /none: No such file or directory (os error 2)",
        ),
    ];
    for (files, ask, expected) in cases {
        let error = error(files, &ask);
        assert_eq!((error.to_string().as_str(), place(&error)), (expected, None));
    }
    let blank = user("model_instructions_file = '/blank'").with("/blank", " \n");
    assert_eq!(error(&blank, &ask()).to_string(), "model instructions file is empty: /blank");
}

#[test]
fn blank_settings_are_unset() {
    let files = user("forced_chatgpt_workspace_id = '  '\ncompact_prompt = ' '");
    let config = loaded(&files, &ask()).config;
    assert_eq!(
        (&config.login.forced_workspace_id, &config.instructions.compact_prompt),
        (&None, &None)
    );
    files.put(USER, "forced_chatgpt_workspace_id = ' org-1 '");
    let config = loaded(&files, &ask()).config;
    assert_eq!(config.login.forced_workspace_id.as_deref(), Some("org-1"));
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
        "model_provider = 'p'\n\
         model_providers.p = {name = 'P', experimental_bearer_token = 'sk-1'}\n\
         mcp_servers.m = {command = 'x', env = {A = 'sk-2'}}\n\
         shell_environment_policy.set.B = 'sk-3'\n\
         otel.exporter.otlp-grpc = {endpoint = 'x', headers = {C = 'sk-4'}}",
    );
    let ask = request("mcp_servers.n.env.D", "sk-5".into());
    let ask = ConfigAsk {
        request: [ask.request, vec![("mcp_servers.n.command".into(), "y".into())]].concat(),
        ..ask
    };
    let shown = format!("{:?} {ask:?}", loaded(&files, &ask));
    assert!(shown.contains("mcp_servers") && !shown.contains("sk-"), "{shown}");
}
