//! Items as the model knows them: in requests to it, in its stream, and in stored threads
//! (engine.md §1.11).
//!
//! Reading is tolerant: a type that is not known is [`ResponseItem::Other`]. Writing leaves the
//! backend's ids out; [`ResponseItem::with_id`] puts them back for the provider that wants them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// One entry of a thread's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ResponseItem {
    /// Text and pictures by somebody.
    Message {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: Option<String>,
        /// `user`, `assistant`, `developer` or `system`.
        role: String,
        /// Its parts.
        content: Vec<ContentItem>,
        /// Whether the model says that it is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end_turn: Option<bool>,
        /// Which part of the work it belongs to; newer backends say so and want it back.
        #[serde(
            default,
            deserialize_with = "known_phase",
            skip_serializing_if = "Option::is_none"
        )]
        phase: Option<MessagePhase>,
    },
    /// What the model thought.
    Reasoning {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: String,
        /// In short.
        summary: Vec<ReasoningItemReasoningSummary>,
        /// In full. `null` if the backend sent none; left out if nothing in it is reasoning text.
        #[serde(default, skip_serializing_if = "has_no_reasoning_text")]
        content: Option<Vec<ReasoningItemContent>>,
        /// In full, for the backend's eyes only.
        encrypted_content: Option<String>,
    },
    /// A command, in the spelling of models with a shell of their own.
    LocalShellCall {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: Option<String>,
        /// Names the call.
        call_id: Option<String>,
        /// How it stands.
        status: LocalShellStatus,
        /// The command.
        action: LocalShellAction,
    },
    /// A call of a tool.
    FunctionCall {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: Option<String>,
        /// The tool.
        name: String,
        /// Arguments: JSON inside a string, unchanged.
        arguments: String,
        /// Names the call.
        call_id: String,
    },
    /// The answer to a call of a tool.
    FunctionCallOutput {
        /// The call.
        call_id: String,
        /// The answer.
        output: FunctionCallOutputPayload,
    },
    /// A call of a tool that takes free text.
    CustomToolCall {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: Option<String>,
        /// How it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// Names the call.
        call_id: String,
        /// The tool.
        name: String,
        /// The text.
        input: String,
    },
    /// The answer to a call of a tool that takes free text.
    CustomToolCallOutput {
        /// The call.
        call_id: String,
        /// The answer.
        output: String,
    },
    /// A search in the web, done by the backend.
    WebSearchCall {
        /// The backend's id.
        #[serde(default, skip_serializing)]
        id: Option<String>,
        /// How it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// What is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<WebSearchAction>,
    },
    /// A state of the working directory; stored, never sent to a model.
    GhostSnapshot {
        /// The commit that holds it.
        ghost_commit: GhostCommit,
    },
    /// A history made short by the backend.
    #[serde(alias = "compaction_summary")]
    Compaction {
        /// For the backend's eyes only.
        encrypted_content: String,
    },
    /// Something that is not known here.
    #[serde(other)]
    Other,
}

impl ResponseItem {
    /// The backend's id of the item, if it gave one.
    pub fn id(&self) -> Option<&str> {
        let id = match self {
            Self::Message { id, .. }
            | Self::LocalShellCall { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. }
            | Self::WebSearchCall { id, .. } => id.as_deref(),
            Self::Reasoning { id, .. } => Some(id.as_str()),
            Self::FunctionCallOutput { .. }
            | Self::CustomToolCallOutput { .. }
            | Self::GhostSnapshot { .. }
            | Self::Compaction { .. }
            | Self::Other => None,
        };
        id.filter(|id| !id.is_empty())
    }

    /// The item for a provider that stores responses and so wants ids back (engine.md §1.11).
    pub fn with_id(&self) -> ResponseItemWithId<'_> {
        ResponseItemWithId { item: self, id: self.id() }
    }
}

/// An item written together with the backend's id.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ResponseItemWithId<'a> {
    #[serde(flatten)]
    item: &'a ResponseItem,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

fn has_no_reasoning_text(content: &Option<Vec<ReasoningItemContent>>) -> bool {
    content.as_ref().is_some_and(|parts| {
        !parts.iter().any(|part| matches!(part, ReasoningItemContent::ReasoningText { .. }))
    })
}

/// Which part of the work a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessagePhase {
    /// Said on the way.
    Commentary,
    /// The answer.
    FinalAnswer,
}

/// A phase that is not known is no reason to lose the message.
fn known_phase<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MessagePhase>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(match text.as_deref() {
        Some("commentary") => Some(MessagePhase::Commentary),
        Some("final_answer") => Some(MessagePhase::FinalAnswer),
        _ => None,
    })
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentItem {
    /// Text for the model.
    InputText {
        /// The text.
        text: String,
    },
    /// A picture for the model.
    InputImage {
        /// `https:` or `data:`.
        image_url: String,
    },
    /// Text by the model.
    OutputText {
        /// The text.
        text: String,
    },
}

/// A part of reasoning in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReasoningItemContent {
    /// Reasoning.
    ReasoningText {
        /// The text.
        text: String,
    },
    /// Other text.
    Text {
        /// The text.
        text: String,
    },
}

/// A part of reasoning in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReasoningItemReasoningSummary {
    /// A section.
    SummaryText {
        /// The text.
        text: String,
    },
}

/// How a [`ResponseItem::LocalShellCall`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LocalShellStatus {
    /// Done.
    Completed,
    /// Running.
    InProgress,
    /// Broken off.
    Incomplete,
}

/// What a [`ResponseItem::LocalShellCall`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LocalShellAction {
    /// Runs a command.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
        /// Time limit in milliseconds.
        timeout_ms: Option<u64>,
        /// Where it runs.
        working_directory: Option<String>,
        /// Additional environment.
        env: Option<BTreeMap<String, String>>,
        /// As whom it runs.
        user: Option<String>,
    },
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum FunctionCallOutputPayload {
    /// Text.
    Text(String),
    /// Text and pictures.
    Parts(Vec<FunctionCallOutputContentItem>),
}

/// A part of what a tool answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FunctionCallOutputContentItem {
    /// Text.
    InputText {
        /// The text.
        text: String,
    },
    /// A picture.
    InputImage {
        /// `https:` or `data:`.
        image_url: String,
    },
}

/// What the backend did in the web. Absent values are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WebSearchAction {
    /// A search.
    Search {
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// What for, if several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queries: Option<Vec<String>>,
    },
    /// A page is opened.
    OpenPage {
        /// Its URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// A search in a page.
    FindInPage {
        /// Its URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
    /// Something else.
    #[serde(other)]
    Other,
}

impl From<WebSearchAction> for crate::wire::v2::item::WebSearchAction {
    fn from(action: WebSearchAction) -> Self {
        match action {
            WebSearchAction::Search { query, queries } => Self::Search { query, queries },
            WebSearchAction::OpenPage { url } => Self::OpenPage { url },
            WebSearchAction::FindInPage { url, pattern } => Self::FindInPage { url, pattern },
            WebSearchAction::Other => Self::Other,
        }
    }
}

/// A commit, on no branch, that holds a state of the working directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GhostCommit {
    /// Its hash.
    pub id: String,
    /// The commit that it follows.
    pub parent: Option<String>,
    /// Files that were there untracked.
    pub preexisting_untracked_files: Vec<String>,
    /// Directories that were there untracked.
    pub preexisting_untracked_dirs: Vec<String>,
}
