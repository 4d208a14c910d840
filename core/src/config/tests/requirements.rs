//! What the administrator allows.

use super::*;

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
        assert_eq!(config.permissions.sandbox_mode, SandboxMode::ReadOnly);
        let full = config
            .permissions
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
    assert_eq!(config.permissions.approval_policy, AskForApproval::Never);
    assert_eq!(config.permissions.sandbox_mode, SandboxMode::ReadOnly);
}

#[test]
fn the_managed_file_sets_and_requires() {
    let files = user("approval_policy = 'never'").with(
        MANAGED,
        "approval_policy = 'on-request'\nsandbox_mode = 'workspace-write'",
    );
    let config = loaded(&files, &ask()).config;
    assert_eq!(
        config.permissions.approval_policy,
        AskForApproval::OnRequest
    );
    assert_eq!(config.permissions.sandbox_mode, SandboxMode::WorkspaceWrite);
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
    let found = loaded(&files, &ask())
        .config
        .permissions
        .requirements
        .clone();
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
        assert_eq!(
            config.permissions.approval_policy,
            AskForApproval::Untrusted
        );
        assert_eq!(config.permissions.sandbox_mode, SandboxMode::ReadOnly);
        assert_eq!(config.model.slug.as_deref(), Some("m"));
        let write = config
            .permissions
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
                .mcp
                .servers
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
            .mcp
            .servers
            .values()
            .all(|server| server.enabled)
    );
}

#[test]
fn mcp_servers_have_to_be_who_they_should_be() {
    let files = user(
        "mcp_servers.a.command = 'a'\nmcp_servers.b.command = 'evil'\n\
         mcp_servers.c.url = 'http://c'",
    )
    .with(
        REQUIREMENTS,
        "mcp_servers.a.identity.command = 'a'\nmcp_servers.b.identity.command = 'b'",
    );
    let config = loaded(&files, &ask()).config;
    let enabled: Vec<_> = config
        .mcp
        .servers
        .iter()
        .map(|(n, s)| (n.as_str(), s.enabled))
        .collect();
    assert_eq!(enabled, [("a", true), ("b", false), ("c", false)]);
    let reason = config
        .mcp
        .servers
        .get("b")
        .and_then(|b| b.disabled_reason.as_deref());
    assert_eq!(reason, Some("requirements (/etc/codex/requirements.toml)"));
    let rule = config
        .permissions
        .requirements
        .mcp_servers
        .as_ref()
        .expect("a rule");
    assert_eq!(
        rule.value.get("a"),
        Some(&McpIdentity::Command("a".to_owned()))
    );
}
