//! What happens when something is broken: it is put aside, and nothing gets looser.

use super::*;

#[test]
fn the_process_starts_in_spite_of_a_broken_file() {
    let begun = startup(&user("model = \"x\n"), &flags(&["review_model=r"]));
    let [warning] = begun.warnings.as_slice() else { panic!("{:?}", begun.warnings) };
    assert_eq!(
        serde_json::to_value(warning).expect("serialises"),
        serde_json::json!({
            "summary": "Invalid configuration; using defaults.",
            "details": "/h/config.toml:1:11: invalid basic string, expected `\"`",
            "path": "/h/config.toml",
            "range": {"start": {"line": 1, "column": 11}, "end": {"line": 1, "column": 11}},
        })
    );
    assert_eq!((begun.config.model.slug.as_deref(), begun.flags_error), (None, None));
    assert_eq!(begun.config.model.review_slug.as_deref(), Some("r"));
    let user = begun.layers.user().expect("the layer is still shown");
    assert!(user.disabled.as_deref().is_some_and(|reason| reason.contains(":1:11:")));
}

#[test]
fn a_semantic_fault_puts_its_layer_aside() {
    let files = user("model_provider = 'zzz'\nmodel = 'm'")
        .with("/etc/codex/config.toml", "forced_login_method = 'chatgpt'");
    let begun = startup(&files, &ask());
    let details = begun.warnings.first().and_then(|w| w.details.as_deref());
    assert_eq!(details, Some("Model provider `zzz` not found"));
    assert_eq!((begun.config.provider_id.as_str(), &begun.config.model.slug), ("openai", &None));
    assert_eq!(begun.config.login.forced_method, Some(LoginMethod::Chatgpt));
}

#[test]
fn flags_at_fault_are_reported_apart() {
    let begun = startup(&user("review_model = 'r'"), &flags(&["model=3"]));
    assert!(begun.flags_error.is_some_and(|e| e.to_string().contains("in `model`")));
    assert_eq!(begun.config.model.review_slug.as_deref(), Some("r"));
    assert_eq!(begun.warnings.len(), 1);
}

#[test]
fn in_doubt_files_permit_nothing_but_stricter_things() {
    // The project's file is broken: what it wanted to forbid is not known.
    let loose = "approval_policy = 'never'\nsandbox_mode = 'danger-full-access'\nmodel = 'm'\n";
    let files = user(&format!("{loose}{TRUST_W}")).with("/w/.codex/config.toml", "x=");
    let config = startup(&files, &ask()).config;
    assert_eq!(config.permissions.approval_policy, AskForApproval::OnRequest);
    assert_eq!(config.permissions.sandbox_mode, SandboxMode::ReadOnly);
    assert_eq!(config.model.slug.as_deref(), Some("m"));
    let asked = startup(&files, &flags(&["sandbox_mode=workspace-write"])).config;
    assert_eq!(asked.permissions.sandbox_mode, SandboxMode::WorkspaceWrite);
    files.put(USER, format!("approval_policy = 'untrusted'\n{TRUST_W}"));
    assert_eq!(
        startup(&files, &ask()).config.permissions.approval_policy,
        AskForApproval::Untrusted
    );
}

#[test]
fn threads_fall_back_for_files_and_fail_for_requests() {
    let broken = user("review_model = 3");
    let fallen = load_or_default(&broken, &request("model", "m".into())).expect("defaults");
    assert_eq!((fallen.config.model.slug.as_deref(), fallen.warnings.len()), (Some("m"), 1));

    let mut chosen = ask();
    chosen.choices.model_provider = Some("no-such".to_owned());
    let cases = [
        (chosen, "Model provider `no-such` not found"),
        (request("profile", "p".into()), "config profile `p` not found"),
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

/// A file breaks while the server runs, and takes with it what the command line asks for: threads do
/// not open with less than that.
#[test]
fn no_thread_starts_without_the_command_line() {
    let asked = flags(&["model_provider=mine", "approval_policy=untrusted"]);
    let mine = "[model_providers.mine]\nname = 'M'\nbase_url = 'http://127.0.0.1:1/v1'";
    let files = user(mine);
    let served = load_or_default(&files, &asked).expect("a provider");
    assert_eq!(served.config.provider_id, "mine");
    files.put(USER, "[model_providers.mine");
    let refused = load_or_default(&files, &asked).map_err(|error| error.to_string());
    assert_eq!(refused.err().as_deref(), Some("Model provider `mine` not found"));
}

#[test]
fn a_request_that_repairs_the_files_is_served() {
    let files = user("model_provider = 'zzz'");
    let served = load_or_default(&files, &request("model_provider", "ollama".into()));
    assert_eq!(served.expect("a provider").config.provider_id, "ollama");
}

#[test]
fn error_texts_show_no_strings_that_were_put_in_the_wrong_place() {
    let cases = [
        "model_providers.p = {name = 'P', http_headers = 'sk-1\", expected '}",
        "shell_environment_policy.set = 'sk-1'",
        "project_doc_max_bytes = 'sk-1'",
    ];
    for text in cases {
        let located = error(&user(text), &ask()).to_string();
        assert!(located.contains("invalid type: string, expected"), "{located}");
        let plain = error(&MemoryFiles::new(), &flags(&[text])).to_string();
        assert!(plain.contains("invalid type: string, expected"), "{plain}");
        assert!(!located.contains("sk-") && !plain.contains("sk-"), "{located} {plain}");
    }
}

#[test]
fn settings_nested_without_end_do_no_harm() {
    let depth = 200_000;
    let key = vec!["a"; depth].join(".");
    for text in [format!("[{key}]"), format!("{key} = 1"), "[".repeat(depth)] {
        let begun = startup(&user(&text), &ask());
        assert_eq!(begun.config.model.slug, None);
    }
    let asked = load_or_default(&MemoryFiles::new(), &request(&key, 1.into()));
    let refused = asked.map_err(|e| e.to_string()).err();
    assert_eq!(refused.as_deref(), Some("config key has too many segments"));
    assert!(Overrides::parse(&[format!("{key}=1")]).is_err());
}

/// Lets every read of this file fail.
fn unreadable(files: MemoryFiles, file: &'static str) -> MemoryFiles {
    files.inject(move |op, path| {
        let hit = op == FileOp::Read && path == Path::new(file);
        hit.then(|| FileError { kind: FileErrorKind::Denied, text: "denied".to_owned() })
    });
    files
}

#[test]
fn no_thread_starts_without_a_file_that_cannot_be_read() {
    const PROJECT: &str = "/w/.codex/config.toml";
    let trusting = || user(TRUST_W).with(PROJECT, "");
    let cases = [
        (user("model = 'm'"), USER, "config file /h/config.toml"),
        (user(""), MANAGED, "config file /etc/codex/managed_config.toml"),
        (user(""), SYSTEM, "config file /etc/codex/config.toml"),
        (trusting(), PROJECT, "project config file /w/.codex/config.toml"),
        // Other faults do not hide it.
        (user("").with(MANAGED, "x="), USER, "config file /h/config.toml"),
        (user("x=").with(PROJECT, ""), MANAGED, "config file /etc/codex/managed_config.toml"),
    ];
    for (files, file, named) in cases {
        let files = unreadable(files, file);
        for ask in [ask(), flags(&["model=m"]), request("model", "m".into())] {
            let refused = load_or_default(&files, &ask).map_err(|error| error.to_string());
            let expected = format!("Failed to read {named}: denied");
            assert_eq!(refused.err().as_deref(), Some(expected.as_str()));
        }
        assert_eq!(startup(&files, &ask()).warnings.len(), 1, "the process goes on");
    }
    // A project that is not trusted has no say, and what is no text is read and found at fault.
    let files = unreadable(user("model = 'm'").with(PROJECT, ""), PROJECT);
    let served = load_or_default(&files, &ask()).expect("what is left");
    assert_eq!((served.config.model.slug.as_deref(), served.warnings.len()), (Some("m"), 1));
    let served = load_or_default(&MemoryFiles::new().with(USER, b"\xff"), &ask());
    assert_eq!(served.expect("defaults").warnings.len(), 1);
}
