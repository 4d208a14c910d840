//! Writing the user's file.

use serde_json::{Value, json};

use super::super::kinds::ReasoningEffort;
use super::super::shown;
use super::super::write::{Changes, WriteError, set_default_model, write};
use super::{MANAGED, USER, flags, user};
use crate::files::{Access, FileError, FileErrorKind, FileOp, MemoryFiles};
use crate::wire::v2::config::{ConfigWriteResponse, WriteStatus};

fn changes(edits: &[(&str, Value)]) -> Changes {
    let edits = edits.iter().map(|(key, value)| ((*key).to_owned(), value.clone(), true));
    Changes { edits: edits.collect(), file: None, expected_version: None }
}

fn set(files: &MemoryFiles, key: &str, value: Value) -> Result<ConfigWriteResponse, WriteError> {
    write(files, &flags(&[]), &changes(&[(key, value)]))
}

fn text(files: &MemoryFiles) -> String {
    let bytes = files.content(USER).unwrap_or_default();
    String::from_utf8(bytes).expect("UTF-8")
}

fn version(files: &MemoryFiles) -> String {
    let found = shown::read(files, &flags(&[]), true).expect("a configuration");
    let layers = found.layers.unwrap_or_default();
    layers.first().map(|layer| layer.version.clone()).unwrap_or_default()
}

#[test]
fn the_version_is_that_of_the_next_read() {
    let files =
        user("# top\nmodel = 'a'\nmcp_servers.m = {command = 'x', startup_timeout_sec = 2}\n");
    let edits = [
        ("model_instructions_file", json!("rel/../a.md")),
        ("model_instructions_file", Value::Null),
        ("x.y", json!(1)),
        ("x.y", Value::Null),
        ("mcp_servers.m.tool_timeout_sec", json!(3)),
    ];
    let done = write(&files, &flags(&[]), &changes(&edits)).expect("written");
    assert_eq!((done.status, done.file_path.as_str()), (WriteStatus::Ok, USER));
    assert_eq!(done.version, version(&files));
    assert_eq!(files.access(USER), Some(Access::Private));
    assert!(text(&files).starts_with("# top\nmodel = 'a'\n"));
    let next =
        Changes { expected_version: Some(done.version), ..changes(&[("model", json!("b"))]) };
    assert!(write(&files, &flags(&[]), &next).is_ok());
    assert_eq!(write(&files, &flags(&[]), &next), Err(WriteError::Conflict));
}

#[test]
fn a_path_may_be_written_as_users_write_it() {
    let files = user("");
    set(&files, "sandbox_workspace_write.writable_roots", json!(["rel"])).expect("written");
    assert_eq!(text(&files), "[sandbox_workspace_write]\nwritable_roots = [\"rel\"]\n");
}

#[test]
fn a_request_with_one_bad_change_changes_nothing() {
    let before = "# c\nmodel = 'a'\n";
    let files = user(before);
    let cases = [
        ("sandbox_mode", json!("nope"), "configValidationError"),
        ("", json!(1), "configValidationError"),
        ("model.x", json!(1), "configValidationError"),
        ("no.such", Value::Null, "configPathNotFound"),
    ];
    for (key, value, code) in cases {
        let edits = changes(&[("review_model", json!("b")), (key, value)]);
        let error = write(&files, &flags(&[]), &edits).expect_err("one is bad");
        assert_eq!(error.code(), Some(code), "{key}: {error}");
    }
    let error = set(&files, "sandbox_mode", json!("nope")).expect_err("no mode").to_string();
    let wanted = "Invalid configuration: unknown variant `nope`, expected one of `read-only`, \
                  `workspace-write`, `danger-full-access`\nin `sandbox_mode`\n";
    assert_eq!(error, wanted);
    assert_eq!(text(&files), before);
}

#[test]
fn only_the_users_file_is_written() {
    let files = user("").with("/etc/codex/config.toml", "");
    let to = |file: &str| Changes { file: Some(file.into()), ..changes(&[("model", json!("a"))]) };
    for file in ["/etc/codex/config.toml", "/elsewhere.toml"] {
        assert_eq!(write(&files, &flags(&[]), &to(file)), Err(WriteError::ReadOnly));
    }
    assert!(write(&files, &flags(&[]), &to("/h/../h/config.toml")).is_ok());
    files.link("/link.toml", USER);
    assert!(write(&files, &flags(&[]), &to("/link.toml")).is_ok());
}

#[test]
fn a_stronger_layer_is_named() {
    let files = user("").with(MANAGED, "model = 'managed'\ntools.web_search = true");
    let done = set(&files, "model", json!("mine")).expect("written");
    let found = serde_json::to_value(done).expect("serialises");
    assert_eq!(found["status"], "okOverridden");
    let metadata = &found["overriddenMetadata"];
    assert_eq!(metadata["effectiveValue"], "managed");
    assert_eq!(metadata["overridingLayer"]["name"]["file"], MANAGED);
    let message = "Overridden by legacy managed_config.toml: /etc/codex/managed_config.toml";
    assert_eq!(metadata["message"], message);
    // A weaker layer's members beside those that were written override nothing.
    let files = user("").with("/etc/codex/config.toml", "a.low = 1\nb = 1");
    assert_eq!(set(&files, "a", json!({"x": 1})).map(|done| done.status), Ok(WriteStatus::Ok));
    let gone = set(&files, "b", Value::Null).map(|done| done.status);
    assert_eq!(gone, Ok(WriteStatus::OkOverridden));
}

#[test]
fn what_cannot_be_read_or_stored_is_the_servers_fault() {
    let error = set(&user("x ="), "model", json!("a")).expect_err("no TOML");
    assert!(error.to_string().starts_with("failed to load configuration: "), "{error}");
    let files = user("");
    files.inject(|op, _| {
        let text = "No space left on device (os error 28)".to_owned();
        (op == FileOp::Write).then_some(FileError { kind: FileErrorKind::Other, text })
    });
    let error = set(&files, "model", json!("a")).expect_err("no space");
    assert_eq!(error.code(), None);
    let wanted = "failed to persist config.toml: failed to persist config.toml at \
                  /h/config.toml: No space left on device (os error 28)";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_wrong_value_can_be_put_right() {
    let files = user("model = 3 # oops\n");
    set(&files, "model", json!("a")).expect("written");
    assert_eq!(text(&files), "model = \"a\" # oops\n");
}

#[test]
fn the_default_model_goes_to_the_active_profile() {
    let files = user("# c\nmodel = 'a'\nmodel_reasoning_effort = 'low' # e\n");
    let low = Some(ReasoningEffort::High);
    set_default_model(&files, &flags(&[]), Some("b"), low).expect("written");
    assert_eq!(text(&files), "# c\nmodel = \"b\"\nmodel_reasoning_effort = \"high\" # e\n");
    set_default_model(&files, &flags(&[]), None, None).expect("written");
    assert_eq!(set_default_model(&files, &flags(&[]), None, None), Ok(()));
    assert!(!text(&files).contains("model"));
    let files = user("profile = 'p.q'\nmodel = 'a'\n\n[profiles.\"p.q\"]\nmodel = 'b'\n");
    set_default_model(&files, &flags(&[]), Some("c"), None).expect("written");
    let wanted = "profile = 'p.q'\nmodel = 'a'\n\n[profiles.\"p.q\"]\nmodel = \"c\"\n";
    assert_eq!(text(&files), wanted);
    let error = set_default_model(&user("x ="), &flags(&[]), None, None).expect_err("no TOML");
    assert!(error.starts_with("failed to persist model selection: /h/config.toml:1:"), "{error}");
}
