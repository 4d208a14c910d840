//! What clients are shown of the configuration.

use serde_json::{Value, json};

use super::super::{ConfigAsk, shown};
use super::{MANAGED, REQUIREMENTS, TRUST_W, flags, user};
use crate::files::MemoryFiles;

fn read(files: &MemoryFiles, ask: &ConfigAsk) -> Value {
    let found = shown::read(files, ask, true).expect("a configuration");
    serde_json::to_value(found).expect("serialises")
}

fn nowhere(raw: &[&str]) -> ConfigAsk {
    ConfigAsk { cwd: None, ..flags(raw) }
}

#[test]
fn what_the_layers_say_is_shown_with_known_members_always_there() {
    let files = user(
        "model = 'a'\nprofile = 'p'\nprofiles.p = {model = 'b', extra = 1}\nextra.when = 2024-01-01\n\
         sandbox_workspace_write = {writable_roots = ['rel'], odd = 1}\n\
         tools = {web_search_request = true, odd = 1}",
    );
    let config = &read(&files, &nowhere(&["model_verbosity=low"]))["config"];
    // The profile is shown, not applied.
    assert_eq!(config["model"], "a");
    assert_eq!(config["model_verbosity"], "low");
    assert_eq!(config["review_model"], Value::Null);
    assert_eq!(config["profiles"]["p"]["model"], "b");
    assert_eq!(config["profiles"]["p"]["web_search"], Value::Null);
    assert_eq!(config["profiles"]["p"]["extra"], 1);
    assert_eq!(config["extra"], json!({"when": "2024-01-01"}));
    assert_eq!(config["tools"], json!({"web_search": true, "view_image": null}));
    let write = json!({
        "writable_roots": ["/h/rel"], "network_access": false, "exclude_tmpdir_env_var": false,
        "exclude_slash_tmp": false,
    });
    assert_eq!(config["sandbox_workspace_write"], write);
}

#[test]
fn layers_are_shown_strongest_first_and_origins_name_them() {
    let files = user(&format!("{TRUST_W}model = 'user'"))
        .with("/w/.codex/config.toml", "review_model = 'project'")
        .with(MANAGED, "model_verbosity = 'low'");
    let found = read(&files, &flags(&["model=flag"]));
    let names: Vec<_> = found["layers"].as_array().into_iter().flatten().collect();
    let names: Vec<_> = names.iter().map(|layer| layer["name"]["type"].clone()).collect();
    let managed = "legacyManagedConfigTomlFromFile";
    assert_eq!(names, [managed, "sessionFlags", "project", "user", "system"]);
    assert_eq!(found["layers"][2]["config"], json!({"review_model": "project"}));
    assert_eq!(found["origins"]["model"]["name"]["type"], "sessionFlags");
    assert_eq!(found["origins"]["model"]["version"], found["layers"][1]["version"]);
    assert_eq!(found["origins"]["review_model"]["name"]["dotCodexFolder"], "/w/.codex");
    let few = shown::read(&files, &nowhere(&[]), false).expect("a configuration");
    assert_eq!(few.layers, None);
    assert_eq!(few.config.review_model, None);
}

#[test]
fn a_disabled_layer_is_shown_with_its_reason() {
    let files = user("").with("/w/.codex/config.toml", "model = 'project'");
    let found = read(&files, &flags(&[]));
    let reason = found["layers"][0]["disabledReason"].as_str().unwrap_or_default();
    assert!(reason.contains("as a trusted project in /h/config.toml"), "{reason}");
    assert_eq!(found["config"]["model"], Value::Null);
}

#[test]
fn settings_must_make_sense_together_only_where_a_folder_is_given() {
    let files = user("model_provider = 'zzz'");
    assert_eq!(read(&files, &nowhere(&[]))["config"]["model_provider"], "zzz");
    let error = shown::read(&files, &flags(&[]), false).expect_err("no such provider");
    assert_eq!(error, "failed to read configuration layers: Model provider `zzz` not found");
    let error = shown::read(&user("model = 3"), &nowhere(&[]), false).expect_err("no text");
    assert!(error.starts_with("failed to read configuration layers: /h/config.toml:1:9: "));
}

#[test]
fn requirements_are_shown_whatever_else_is_broken() {
    let required = |files: &MemoryFiles| {
        let found = shown::required(files, &flags(&[]))?;
        Ok::<_, String>(serde_json::to_value(found).expect("serialises")["requirements"].clone())
    };
    assert_eq!(required(&user("x = ")), Ok(Value::Null));
    let modes = "allowed_sandbox_modes = ['read-only', 'external-sandbox']\n";
    let files = user("x = ").with(REQUIREMENTS, modes).with(MANAGED, "approval_policy = 'never'");
    let expected = json!({
        "allowedApprovalPolicies": ["never"], "allowedSandboxModes": ["read-only"],
        "enforceResidency": null,
    });
    assert_eq!(required(&files), Ok(expected));
    let error = required(&user("").with(REQUIREMENTS, "allowed_approval_policies = []"));
    let text = "failed to read configuration layers: \
                field `allowed_approval_policies` cannot be empty";
    assert_eq!(error, Err(text.to_owned()));
}

#[test]
fn the_saved_configuration_has_the_files_and_not_the_command_line() {
    let files = user("model = 'a'\nsandbox_workspace_write.network_access = true\nprofiles.p = {}")
        .with("/etc/codex/config.toml", "model_reasoning_effort = 'low'");
    let found = shown::saved(&files, &flags(&["model=flag"])).expect("a configuration");
    let config = serde_json::to_value(found).expect("serialises")["config"].clone();
    assert_eq!((&config["model"], &config["modelReasoningEffort"]), (&json!("a"), &json!("low")));
    assert_eq!(config["sandboxSettings"]["networkAccess"], true);
    assert_eq!(config["profiles"]["p"]["chatgptBaseUrl"], Value::Null);
    let error = shown::saved(&user("x ="), &flags(&[])).expect_err("no TOML");
    assert!(error.starts_with("failed to load configuration: /h/config.toml:1:"), "{error}");
}
