//! Owns: the items of a conversation as the Responses API writes them (engine.md §1.11, §2.2.1),
//! read from a stream or a rollout and written back as the next request's `input` wants them.
//! Invariant: what is written never holds a server's item id.
//! Never: runs a tool, or tells a client anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One item. Its `Serialize` is the form for the history: no ids, members in the API's order.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum OutputItem {
    /// Text of the user, the developer or the model.
    Message(Message),
    /// The model thinks.
    Reasoning(Reasoning),
    /// The backend searched the web.
    WebSearchCall(WebSearch),
    /// The model calls a tool with JSON arguments.
    FunctionCall(FunctionCall),
    /// What came of it. Read from rollouts only.
    FunctionCallOutput(FunctionCallOutput),
    /// The model calls a tool with free text.
    CustomToolCall(CustomToolCall),
    /// What came of it. Read from rollouts only.
    CustomToolCallOutput(CustomToolCallOutput),
    /// The model runs a command by the built-in shell tool of the API.
    LocalShellCall(Box<LocalShellCall>),
    /// The encrypted rest of a compacted history.
    Compaction(Compaction),
    /// A kind that is not for the history.
    #[serde(skip)]
    Unknown,
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The server's id.
    #[serde(default, skip_serializing)]
    pub(crate) id: Option<String>,
    /// `assistant`, `user` or `developer`.
    pub(crate) role: String,
    /// Text and images.
    #[serde(default)]
    pub(crate) content: Vec<ContentPart>,
    /// Whether the backend says that the turn ends here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_turn: Option<bool>,
    /// `commentary` or `final_answer`, where the backend says so (clients.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
}

impl Message {
    /// The parts of the model's text.
    pub(crate) fn output_texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().filter_map(|part| match part {
            ContentPart::OutputText { text } => Some(text.as_str()),
            _ => None,
        })
    }

    /// A refusal is shown and remembered as text; kinds that are not known are dropped, because
    /// no reader of a rollout would know them either.
    fn tidied(mut self) -> Self {
        self.content.retain_mut(|part| {
            if let ContentPart::Refusal { refusal } = part {
                *part = ContentPart::OutputText { text: std::mem::take(refusal) };
            }
            !matches!(part, ContentPart::Other)
        });
        self
    }
}

/// A part of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ContentPart {
    /// Text for the model.
    InputText {
        /// The text.
        text: String,
    },
    /// An image for the model.
    InputImage {
        /// A URL; often a data URL.
        image_url: String,
    },
    /// Text of the model.
    OutputText {
        /// The text.
        text: String,
    },
    /// The model declines; becomes output text.
    Refusal {
        /// Its words.
        refusal: String,
    },
    /// Not known; dropped.
    #[serde(other)]
    Other,
}

/// A reasoning item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reasoning {
    /// The server's id.
    #[serde(default, skip_serializing)]
    pub(crate) id: Option<String>,
    /// Summaries for people.
    #[serde(default)]
    pub(crate) summary: Vec<TextPart>,
    /// The reasoning itself, where the server shows it. `null` if it sent none; left out if it
    /// holds no `reasoning_text`, because the API takes no other kind back.
    #[serde(default, skip_serializing_if = "lacks_reasoning_text")]
    pub(crate) content: Option<Vec<TextPart>>,
    /// What the server wants to see again; always written.
    #[serde(default)]
    pub(crate) encrypted_content: Option<String>,
}

impl Reasoning {
    /// The summaries' texts.
    pub(crate) fn summary_texts(&self) -> impl Iterator<Item = &str> {
        self.summary.iter().map(|part| part.text.as_str())
    }

    /// The texts of the reasoning itself.
    pub(crate) fn content_texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().flatten().map(|part| part.text.as_str())
    }
}

fn lacks_reasoning_text(content: &Option<Vec<TextPart>>) -> bool {
    content.as_ref().is_some_and(|parts| !parts.iter().any(|p| p.kind == "reasoning_text"))
}

/// A part of a reasoning item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TextPart {
    /// `summary_text`, `reasoning_text` or `text`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The text.
    #[serde(default)]
    pub(crate) text: String,
}

/// A web search that the backend made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WebSearch {
    /// The server's id.
    #[serde(default, skip_serializing)]
    pub(crate) id: Option<String>,
    /// `in_progress`, `completed`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// What it did; not known while it is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<SearchAction>,
}

/// What a web search did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum SearchAction {
    /// Asked a search engine.
    Search {
        /// The question.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// The questions, when there were several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queries: Option<Vec<String>>,
    },
    /// Opened a page.
    OpenPage {
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// Looked for a text in a page.
    FindInPage {
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// For what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
    /// Something else.
    #[serde(other)]
    Other,
}

/// A tool call with JSON arguments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FunctionCall {
    /// The tool.
    pub(crate) name: String,
    /// JSON in a string, as the model wrote it.
    #[serde(default)]
    pub(crate) arguments: String,
    /// Ties the call to its output.
    pub(crate) call_id: String,
}

/// A tool's answer: a string, or an array of parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FunctionCallOutput {
    /// The call that it answers.
    pub(crate) call_id: String,
    /// As it was written; never looked into here.
    pub(crate) output: Box<RawValue>,
}

/// A tool call with free text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CustomToolCall {
    /// The server's word for how far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    /// Ties the call to its output.
    pub(crate) call_id: String,
    /// The tool.
    pub(crate) name: String,
    /// The text.
    #[serde(default)]
    pub(crate) input: String,
}

/// The answer to a [`CustomToolCall`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CustomToolCallOutput {
    /// The call that it answers.
    pub(crate) call_id: String,
    /// As it was written.
    pub(crate) output: Box<RawValue>,
}

/// A command by the API's own shell tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LocalShellCall {
    /// The server's id; stands in for a missing `call_id`.
    #[serde(default, skip_serializing)]
    pub(crate) id: Option<String>,
    /// Ties the call to its output; written also when null.
    #[serde(default)]
    pub(crate) call_id: Option<String>,
    /// The server's word for how far it is.
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// What to run.
    pub(crate) action: LocalShellAction,
}

impl LocalShellCall {
    /// The id that the output must name, if the call has any.
    pub(crate) fn output_id(&self) -> Option<&str> {
        self.call_id.as_deref().or(self.id.as_deref())
    }
}

/// What a [`LocalShellCall`] runs. Nulls are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LocalShellAction {
    /// `exec`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The argument vector.
    pub(crate) command: Vec<String>,
    /// Limit in milliseconds.
    #[serde(default)]
    pub(crate) timeout_ms: Option<u64>,
    /// Where to run.
    #[serde(default)]
    pub(crate) working_directory: Option<String>,
    /// Variables to add.
    #[serde(default)]
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// As whom.
    #[serde(default)]
    pub(crate) user: Option<String>,
}

/// The encrypted rest of a compacted history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Compaction {
    /// Only the server can read it.
    pub(crate) encrypted_content: String,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    name: Cow<'a, str>,
}

impl OutputItem {
    /// Reads an item from its JSON. A kind that is not known, or a known one that lacks what it
    /// needs, is [`OutputItem::Unknown`].
    pub(crate) fn parse(json: &str) -> Self {
        Self::try_parse(json).unwrap_or_else(|error| {
            // The error's own text may quote what the model said.
            tracing::debug!(column = error.column(), "item of the model's answer left out");
            Self::Unknown
        })
    }

    fn try_parse(json: &str) -> serde_json::Result<Self> {
        let kind: Kind<'_> = serde_json::from_str(json)?;
        Ok(match &*kind.name {
            "message" => Self::Message(serde_json::from_str::<Message>(json)?.tidied()),
            "reasoning" => Self::Reasoning(serde_json::from_str(json)?),
            "web_search_call" => Self::WebSearchCall(serde_json::from_str(json)?),
            "function_call" => Self::FunctionCall(serde_json::from_str(json)?),
            "function_call_output" => Self::FunctionCallOutput(serde_json::from_str(json)?),
            "custom_tool_call" => Self::CustomToolCall(serde_json::from_str(json)?),
            "custom_tool_call_output" => Self::CustomToolCallOutput(serde_json::from_str(json)?),
            "local_shell_call" => Self::LocalShellCall(Box::new(serde_json::from_str(json)?)),
            "compaction" | "compaction_summary" => Self::Compaction(serde_json::from_str(json)?),
            _ => Self::Unknown,
        })
    }

    /// The item for the history, the rollout and the next request's `input` (engine.md §1.9,
    /// §1.11); none for what is not recorded.
    pub(crate) fn history_json(&self) -> Option<Arc<str>> {
        match self {
            Self::Unknown => None,
            Self::Message(message) if message.role == "system" => None,
            item => serde_json::to_string(item).ok().map(Arc::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history_json(json: &str) -> Option<Arc<str>> {
        OutputItem::parse(json).history_json()
    }

    #[track_caller]
    fn check(json: &str, expect: &str) {
        assert_eq!(history_json(json).as_deref(), Some(expect));
        assert_eq!(history_json(expect).as_deref(), Some(expect), "read again");
    }

    #[test]
    fn messages() {
        check(
            r#"{"type":"message","id":"m1","status":"completed","role":"assistant",
               "content":[{"type":"output_text","text":"hi","annotations":[]},{"type":"chart"}]}"#,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"hi"}]}"#,
        );
        check(
            r#"{"type":"message","role":"assistant","phase":"commentary","end_turn":false,
               "content":[{"type":"refusal","refusal":"no"}]}"#,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"no"}],"end_turn":false,"phase":"commentary"}"#,
        );
        check(
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"a"},
               {"type":"input_image","image_url":"data:,"}]}"#,
            r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"data:,"}]}"#,
        );
        assert_eq!(history_json(r#"{"type":"message","role":"system","content":[]}"#), None);
    }

    #[test]
    fn reasoning_content_is_null_present_or_left_out() {
        let summary = r#""summary":[{"type":"summary_text","text":"s"}]"#;
        check(
            &format!(r#"{{"type":"reasoning","id":"r1",{summary},"encrypted_content":"zz"}}"#),
            &format!(r#"{{"type":"reasoning",{summary},"content":null,"encrypted_content":"zz"}}"#),
        );
        let shown =
            r#""content":[{"type":"reasoning_text","text":"t"},{"type":"text","text":"u"}]"#;
        check(
            &format!(r#"{{"type":"reasoning",{summary},{shown}}}"#),
            &format!(r#"{{"type":"reasoning",{summary},{shown},"encrypted_content":null}}"#),
        );
        let other = r#"{"type":"reasoning","summary":[],"content":[{"type":"text","text":"u"}]}"#;
        assert_eq!(
            history_json(other).as_deref(),
            Some(r#"{"type":"reasoning","summary":[],"encrypted_content":null}"#)
        );
    }

    #[test]
    fn calls_and_outputs() {
        check(
            r#"{"type":"function_call","id":"f1","call_id":"c1","name":"shell","arguments":"{\"a\": 1}"}"#,
            r#"{"type":"function_call","name":"shell","arguments":"{\"a\": 1}","call_id":"c1"}"#,
        );
        check(
            r#"{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"x"}],"success":true}"#,
            r#"{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"x"}]}"#,
        );
        check(
            r#"{"type":"custom_tool_call","id":"x","status":"completed","call_id":"c","name":"apply_patch","input":"*"}"#,
            r#"{"type":"custom_tool_call","status":"completed","call_id":"c","name":"apply_patch","input":"*"}"#,
        );
        check(
            r#"{"type":"custom_tool_call_output","call_id":"c","output":"ok"}"#,
            r#"{"type":"custom_tool_call_output","call_id":"c","output":"ok"}"#,
        );
        check(
            r#"{"type":"local_shell_call","id":"l","status":"completed","action":{"type":"exec","command":["ls"],"env":{"A":"1"}}}"#,
            r#"{"type":"local_shell_call","call_id":null,"status":"completed","action":{"type":"exec","command":["ls"],"timeout_ms":null,"working_directory":null,"env":{"A":"1"},"user":null}}"#,
        );
    }

    #[test]
    fn searches_and_compactions() {
        check(
            r#"{"type":"web_search_call","id":"ws-1","status":"completed","action":{"type":"search","query":"rust"}}"#,
            r#"{"type":"web_search_call","status":"completed","action":{"type":"search","query":"rust"}}"#,
        );
        check(
            r#"{"type":"web_search_call","action":{"type":"dance","to":"x"}}"#,
            r#"{"type":"web_search_call","action":{"type":"other"}}"#,
        );
        check(
            r#"{"type":"compaction_summary","encrypted_content":"zz"}"#,
            r#"{"type":"compaction","encrypted_content":"zz"}"#,
        );
    }

    #[test]
    fn what_is_not_for_the_history() {
        for json in [
            r#"{"type":"ghost_snapshot","ghost_commit":{}}"#,
            r#"{"type":"image_generation_call","id":"i"}"#,
            r#"{"type":"function_call","name":"shell"}"#,
            r#"{"role":"user"}"#,
            "[]",
            "",
        ] {
            assert_eq!(history_json(json), None, "{json}");
        }
    }
}
