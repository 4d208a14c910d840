//! What in a history was said by the user, and what was put there in the user's name.
//!
//! Works on items as JSON texts, because most of a rollout is never looked at more closely.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A client's own preface ends here: what the user asked comes after it (protocol.md §3.1).
const REQUEST_MARK: &str = "## My request for Codex:";

/// As much of an item as rules about history ask for.
#[derive(Debug, Deserialize)]
pub struct ItemPeek<'a> {
    /// Kind of the item.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// Who speaks, in a message.
    #[serde(default, borrow)]
    pub role: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PartPeek<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
}

impl<'a> ItemPeek<'a> {
    /// Looks at an item; none if it is no item at all.
    pub fn new(item: &'a str) -> Option<Self> {
        serde_json::from_str(item).ok()
    }

    /// Whether it is a message with this role.
    pub fn is_message_by(&self, role: &str) -> bool {
        self.kind == "message" && self.role.as_deref() == Some(role)
    }

    /// The parts of a message by the user; none for everything else, and for what was put into the
    /// history in the user's name.
    fn said(&self) -> Option<Vec<PartPeek<'a>>> {
        let content = self.content.filter(|_| self.is_message_by("user"))?;
        let parts: Vec<PartPeek<'a>> = serde_json::from_str(content.get()).ok()?;
        let first = parts.first().and_then(|part| part.text.as_deref());
        // The user's own pictures stand between tags; one that a tool has shown does not.
        let is_shown = !parts.is_empty() && parts.iter().all(|part| part.kind == "input_image");
        let is_put = is_shown
            || parts.len() == 1 && first.is_some_and(is_instructions)
            || parts.iter().filter_map(|part| part.text.as_deref()).any(is_session_text);
        (!is_put).then_some(parts)
    }

    /// Whether a turn of the user begins here, for taking turns back (engine.md §1.9).
    pub fn begins_user_turn(&self) -> bool {
        self.said().is_some()
    }

    /// The text of a mark that a turn was stopped.
    pub fn abort_mark(&self) -> Option<String> {
        let content = self.content.filter(|_| self.is_message_by("user"))?;
        let parts: Vec<PartPeek<'a>> = serde_json::from_str(content.get()).ok()?;
        let text: String = parts.iter().filter_map(|part| part.text.as_deref()).collect();
        starts_with(&text, "<turn_aborted>").then_some(text)
    }

    /// Text that the user wrote, its parts joined.
    pub fn user_text(&self) -> Option<String> {
        let parts = self.said()?;
        let is_picture = |at: usize| parts.get(at).is_some_and(|part| part.kind == "input_image");
        let mut text = String::new();
        for (at, part) in parts.iter().enumerate() {
            let Some(piece) = part.text.as_deref() else { continue };
            // Pictures stand between two tags of their own (engine.md §1.5).
            let opens = is_picture(at + 1) && piece.starts_with("<image");
            let closes = at > 0 && is_picture(at - 1) && piece == "</image>";
            if !opens && !closes {
                text.push_str(piece);
            }
        }
        Some(text)
    }
}

/// Text in a list of threads: what the user asked, without a client's preface.
pub fn preview(said: &str) -> String {
    match said.split_once(REQUEST_MARK) {
        Some((_, asked)) => asked.trim().to_owned(),
        None => said.to_owned(),
    }
}

/// Instructions and skills travel as messages of the user.
fn is_instructions(text: &str) -> bool {
    ["# AGENTS.md instructions for ", "<user_instructions>", "<skill"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

/// So do facts about the session.
fn is_session_text(text: &str) -> bool {
    ["<environment_context>", "<turn_aborted>", "<user_shell_command>"]
        .iter()
        .any(|prefix| starts_with(text, prefix))
}

fn starts_with(text: &str, prefix: &str) -> bool {
    let start = text.trim_start().as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text_of(texts: &[&str]) -> Option<String> {
        let parts: Vec<_> =
            texts.iter().map(|t| json!({"type": "input_text", "text": t})).collect();
        let item = json!({"type": "message", "role": "user", "content": parts}).to_string();
        ItemPeek::new(&item)?.user_text()
    }

    #[test]
    fn what_was_put_there_is_not_said() {
        for put in [
            "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nx\n</INSTRUCTIONS>",
            "<user_instructions>x</user_instructions>",
            "<skill>\n<name>x</name></skill>",
            "\n <Environment_Context>\n</environment_context>",
            "<turn_aborted>\nx\n</turn_aborted>",
            "<user_shell_command>ls</user_shell_command>",
        ] {
            assert_eq!(text_of(&[put]), None, "{put}");
        }
        assert_eq!(text_of(&["see <skill> there"]).as_deref(), Some("see <skill> there"));
        assert_eq!(text_of(&["a", "b"]).as_deref(), Some("ab"));
        assert_eq!(text_of(&[]).as_deref(), Some(""));
    }

    #[test]
    fn only_the_user_says_something() {
        for item in [
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}),
            json!({"type": "function_call_output", "call_id": "c", "output": "x"}),
            json!({"type": "reasoning", "summary": [], "content": null, "encrypted_content": null}),
        ] {
            let item = item.to_string();
            let peek = ItemPeek::new(&item).expect("an item");
            assert!(!peek.begins_user_turn(), "{item}");
        }
        assert!(ItemPeek::new("[]").is_none());
    }

    #[test]
    fn tags_of_pictures_are_no_text() {
        let item = json!({"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_text", "text": "<image name=[Image #1]>"},
            {"type": "input_image", "image_url": "data:,"},
            {"type": "input_text", "text": "</image>"},
            {"type": "input_text", "text": "</image>"},
        ]})
        .to_string();
        let peek = ItemPeek::new(&item).expect("an item");
        assert_eq!(peek.user_text().as_deref(), Some("look</image>"));
    }

    #[test]
    fn a_preface_is_cut_off() {
        assert_eq!(preview("# Files\n\n## My request for Codex:\n do it \n"), "do it");
        assert_eq!(preview(" plain "), " plain ");
    }
}
