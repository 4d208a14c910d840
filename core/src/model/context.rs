//! Owns: the messages that a thread's history begins with, and those that stand for what the
//! user did (engine.md §1.2–§1.5, §1.8). Tags and order are the wire's; the words are our own.
//! Invariant: every function gives one item as it goes into the history.
//! Never: reads files; who calls hands in what was read.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use super::request::to_json;
use crate::config::kinds::{AskForApproval, SandboxMode};

/// What the model is told after an interrupt; the tags are how the message is known again
/// (engine.md §1.8, §1.9).
const TURN_ABORTED: &str = "<turn_aborted>\nThe user interrupted the previous turn on purpose. \
    If any tools/commands were aborted, they may have partially executed; verify current state \
    before retrying.\n</turn_aborted>";

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Developer,
    User,
    Assistant,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "message")]
struct Message<'a> {
    role: Role,
    content: &'a [Part<'a>],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    InputText { text: &'a str },
    OutputText { text: &'a str },
    InputImage { image_url: &'a str },
}

fn message(role: Role, text: &str) -> Arc<str> {
    to_json(&Message { role, content: &[Part::InputText { text }] }).into()
}

/// What the permissions message tells of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PermissionFacts<'a> {
    /// What commands may do. A sandbox that somebody else put around the server counts as full
    /// access.
    pub(crate) sandbox: SandboxMode,
    /// Whether commands reach the network.
    pub(crate) network: bool,
    /// When the user is asked.
    pub(crate) approval: AskForApproval,
    /// Where commands may write, in order; told with workspace-write only.
    pub(crate) writable_roots: &'a [String],
    /// Whether the model may propose rules (feature `request_rule`).
    pub(crate) prefix_rules: bool,
    /// Prefixes that are allowed already, each rendered as in `["git", "pull"]`.
    pub(crate) allowed_prefixes: &'a [String],
}

/// The developer's message about sandbox and approvals (engine.md §1.3).
pub(crate) fn permissions_json(facts: &PermissionFacts<'_>) -> Arc<str> {
    let mut text = String::from("<permissions instructions>");
    let sandbox = match facts.sandbox {
        SandboxMode::ReadOnly => include_str!("prompts/sandbox_read_only.md"),
        SandboxMode::WorkspaceWrite => include_str!("prompts/sandbox_workspace_write.md"),
        SandboxMode::DangerFullAccess => include_str!("prompts/sandbox_full_access.md"),
    };
    let network = if facts.network { "enabled" } else { "restricted" };
    push_block(&mut text, &format!("{} Network access is {network}.", sandbox.trim_end()));
    push_block(&mut text, &approval_text(facts));
    if facts.sandbox == SandboxMode::WorkspaceWrite && !facts.writable_roots.is_empty() {
        push_block(&mut text, &roots_text(facts.writable_roots));
    }
    push_block(&mut text, "</permissions instructions>");
    message(Role::Developer, &text)
}

fn approval_text(facts: &PermissionFacts<'_>) -> String {
    let text = match facts.approval {
        AskForApproval::Never => include_str!("prompts/approval_never.md"),
        AskForApproval::Untrusted => include_str!("prompts/approval_untrusted.md"),
        AskForApproval::OnFailure => include_str!("prompts/approval_on_failure.md"),
        AskForApproval::OnRequest => include_str!("prompts/approval_on_request.md"),
    };
    let mut text = text.to_owned();
    if facts.approval != AskForApproval::OnRequest || !facts.prefix_rules {
        return text;
    }
    text.push('\n');
    text.push_str(include_str!("prompts/prefix_rule.md"));
    let mut prefixes: Vec<&str> = facts.allowed_prefixes.iter().map(String::as_str).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    if !prefixes.is_empty() {
        text.push_str("\nApproved command prefixes:\n");
        for prefix in prefixes {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {prefix}");
        }
    }
    text
}

fn roots_text(roots: &[String]) -> String {
    let named: Vec<String> = roots.iter().map(|root| format!("`{root}`")).collect();
    match named.as_slice() {
        [root] => format!(" The writable root is {root}."),
        roots => format!(" The writable roots are {}.", roots.join(", ")),
    }
}

/// Appends a block on a line of its own.
fn push_block(text: &mut String, block: &str) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(block);
}

/// A skill that the user named, with its file's text (engine.md §10.2).
pub(crate) fn skill_json(name: &str, path: &str, text: &str) -> Arc<str> {
    let text = format!("<skill>\n<name>{name}</name>\n<path>{path}</path>\n{text}\n</skill>");
    message(Role::User, &text)
}

/// The configured developer instructions, word for word.
pub(crate) fn developer_json(instructions: &str) -> Arc<str> {
    message(Role::Developer, instructions)
}

/// What the model says without having been asked: the outcome of a review.
pub(crate) fn assistant_message_json(text: &str) -> Arc<str> {
    to_json(&Message { role: Role::Assistant, content: &[Part::OutputText { text }] }).into()
}

/// The instructions of a collaboration mode; none if it has none.
pub(crate) fn mode_json(instructions: &str) -> Option<Arc<str>> {
    let wrapped = || format!("<collaboration_mode>{instructions}</collaboration_mode>");
    (!instructions.is_empty()).then(|| message(Role::Developer, &wrapped()))
}

/// The words of a personality that was chosen after the thread began.
pub(crate) fn personality_json(words: &str) -> Arc<str> {
    message(
        Role::Developer,
        &format!(
            "<personality_spec> The user wants another style of communication. \
             From now on, write in this one:\n{words} </personality_spec>"
        ),
    )
}

/// The rules of the project and the user, as found for `cwd`.
pub(crate) fn user_instructions_json(cwd: &str, text: &str) -> Arc<str> {
    message(
        Role::User,
        &format!("# AGENTS.md instructions for {cwd}\n\n<INSTRUCTIONS>\n{text}\n</INSTRUCTIONS>"),
    )
}

/// Where commands run, and by which shell.
pub(crate) fn environment_json(cwd: &str, shell: &str) -> Arc<str> {
    message(
        Role::User,
        &format!(
            "<environment_context>\n  <cwd>{cwd}</cwd>\n  <shell>{shell}</shell>\n\
             </environment_context>"
        ),
    )
}

/// Says that the user interrupted the turn.
pub(crate) fn turn_aborted_json() -> Arc<str> {
    message(Role::User, TURN_ABORTED)
}

/// A picture that the model asked to see.
pub(crate) fn viewed_image_json(url: &str) -> Arc<str> {
    let content = [Part::InputImage { image_url: url }];
    to_json(&Message { role: Role::User, content: &content }).into()
}

/// A part of what the user sent, as far as it is for the model. Skills and mentions are not.
#[derive(Clone, Debug)]
pub(crate) enum UserContent<'a> {
    /// Text.
    Text(&'a str),
    /// An image by its URL.
    Image(&'a str),
    /// An image out of a file: its URL, or why it cannot be shown.
    LocalImage(Result<String, String>),
}

/// The user's message (engine.md §1.5).
pub(crate) fn user_message_json(inputs: &[UserContent<'_>]) -> Arc<str> {
    let local = inputs.iter().filter(|input| matches!(input, UserContent::LocalImage(_)));
    let names: Vec<String> =
        (1..=local.count()).map(|n| format!("<image name=[Image #{n}]>")).collect();
    let mut names = names.iter();
    let mut content = Vec::with_capacity(inputs.len());
    for input in inputs {
        match input {
            UserContent::Text(text) => content.push(Part::InputText { text }),
            UserContent::Image(url) => content.extend(image("<image>", url)),
            UserContent::LocalImage(read) => match (read, names.next()) {
                (Ok(url), Some(name)) => content.extend(image(name, url)),
                (Ok(url), None) => content.extend(image("<image>", url)),
                (Err(why), _) => content.push(Part::InputText { text: why }),
            },
        }
    }
    to_json(&Message { role: Role::User, content: &content }).into()
}

/// An image between its tags.
fn image<'a>(opens: &'a str, image_url: &'a str) -> [Part<'a>; 3] {
    [
        Part::InputText { text: opens },
        Part::InputImage { image_url },
        Part::InputText { text: "</image>" },
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Role and text of a message with one part.
    fn read(json: &str) -> (String, String) {
        let value: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(value["type"], "message");
        assert_eq!(value["content"].as_array().expect("parts").len(), 1);
        assert_eq!(value["content"][0]["type"], "input_text");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (text(&value["role"]), text(&value["content"][0]["text"]))
    }

    fn permissions<'a>(change: impl FnOnce(&mut PermissionFacts<'a>)) -> String {
        let mut facts = PermissionFacts {
            sandbox: SandboxMode::WorkspaceWrite,
            network: false,
            approval: AskForApproval::OnRequest,
            writable_roots: &[],
            prefix_rules: false,
            allowed_prefixes: &[],
        };
        change(&mut facts);
        let (role, text) = read(&permissions_json(&facts));
        assert_eq!(role, "developer");
        assert!(text.starts_with("<permissions instructions>\n"));
        assert!(text.ends_with("\n</permissions instructions>"));
        assert!(!text.contains("\n\n\n"), "{text}");
        text
    }

    #[test]
    fn permissions_name_mode_policy_and_network() {
        for sandbox in
            [SandboxMode::ReadOnly, SandboxMode::WorkspaceWrite, SandboxMode::DangerFullAccess]
        {
            for approval in [
                AskForApproval::Never,
                AskForApproval::Untrusted,
                AskForApproval::OnFailure,
                AskForApproval::OnRequest,
            ] {
                let text = permissions(|facts| {
                    (facts.sandbox, facts.approval, facts.network) = (sandbox, approval, true);
                });
                assert!(text.contains(&format!("`{}`", sandbox.as_str())));
                assert!(text.contains(&format!("`{}`", approval.as_str())));
                assert!(text.contains("enabled") && !text.contains("restricted."));
                let asks = text.contains("\"require_escalated\"");
                assert_eq!(asks, approval == AskForApproval::OnRequest);
            }
        }
        assert!(permissions(|_| ()).contains("Network access is restricted."));
    }

    #[test]
    fn permissions_list_roots_and_prefixes() {
        let roots = ["/w".to_owned(), "/tmp".to_owned()];
        let one = permissions(|facts| facts.writable_roots = &roots[..1]);
        assert!(one.contains("\n The writable root is `/w`.\n"));
        let two = permissions(|facts| facts.writable_roots = &roots);
        assert!(two.contains("\n The writable roots are `/w`, `/tmp`.\n"));
        let prefixes = [r#"["ls"]"#, r#"["git", "pull"]"#, r#"["ls"]"#].map(str::to_owned);
        let rules = permissions(|facts| {
            (facts.prefix_rules, facts.allowed_prefixes) = (true, &prefixes);
        });
        assert!(rules.contains("Approved command prefixes:\n- [\"git\", \"pull\"]\n- [\"ls\"]\n"));
        let without = permissions(|facts| facts.allowed_prefixes = &prefixes);
        assert!(!without.contains("prefix_rule") && !without.contains("Approved"));
    }

    #[test]
    fn the_other_messages() {
        let check = |json: &str, role: &str, text: &str| {
            assert_eq!(read(json), (role.to_owned(), text.to_owned()));
        };
        check(&developer_json("do"), "developer", "do");
        check(
            &mode_json("plan").expect("a message"),
            "developer",
            "<collaboration_mode>plan</collaboration_mode>",
        );
        assert!(mode_json("").is_none());
        check(
            &user_instructions_json("/w", "be nice"),
            "user",
            "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nbe nice\n</INSTRUCTIONS>",
        );
        check(
            &environment_json("/w", "bash"),
            "user",
            "<environment_context>\n  <cwd>/w</cwd>\n  <shell>bash</shell>\n</environment_context>",
        );
        check(&turn_aborted_json(), "user", TURN_ABORTED);
        assert!(TURN_ABORTED.contains("on purpose. If any tools/commands were aborted, they may"));
        let (role, text) = read(&personality_json("warm"));
        assert_eq!(role, "developer");
        assert!(
            text.starts_with("<personality_spec> ") && text.ends_with("\nwarm </personality_spec>")
        );
    }

    #[test]
    fn user_messages() {
        let json = user_message_json(&[
            UserContent::Text("look \"here\""),
            UserContent::Image("http://i"),
            UserContent::LocalImage(Err("no".to_owned())),
            UserContent::LocalImage(Ok("data:x".to_owned())),
        ]);
        assert_eq!(
            &*json,
            concat!(
                r#"{"type":"message","role":"user","content":["#,
                r#"{"type":"input_text","text":"look \"here\""},"#,
                r#"{"type":"input_text","text":"<image>"},"#,
                r#"{"type":"input_image","image_url":"http://i"},"#,
                r#"{"type":"input_text","text":"</image>"},"#,
                r#"{"type":"input_text","text":"no"},"#,
                r#"{"type":"input_text","text":"<image name=[Image #2]>"},"#,
                r#"{"type":"input_image","image_url":"data:x"},"#,
                r#"{"type":"input_text","text":"</image>"}]}"#,
            )
        );
        assert_eq!(&*user_message_json(&[]), r#"{"type":"message","role":"user","content":[]}"#);
    }
}
