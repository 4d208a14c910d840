//! The models that can be chosen, and the modes (protocol.md §8).

use serde::{Deserialize, Serialize};

use super::common::{ModeKind, ReasoningEffort};

/// Params of `model/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelListParams {
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Most entries of a page; all without it.
    pub limit: Option<u32>,
}

/// Result of `model/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ModelListResponse {
    /// One page, by priority.
    pub data: Vec<Model>,
    /// Where this page ends, if more follows.
    pub next_cursor: Option<String>,
}

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Names the entry.
    pub id: String,
    /// The slug to give as `model`.
    pub model: String,
    /// Its name for people.
    pub display_name: String,
    /// What it is good for.
    pub description: String,
    /// Whether pickers leave it out.
    pub hidden: bool,
    /// Efforts that it knows.
    pub supported_reasoning_efforts: Vec<ReasoningEffortOption>,
    /// The effort that it takes by itself.
    pub default_reasoning_effort: ReasoningEffort,
    /// Whether its tone can be set.
    #[serde(default)]
    pub supports_personality: bool,
    /// Whether it is the one taken by itself.
    pub is_default: bool,
}

/// An effort that a model knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReasoningEffortOption {
    /// The effort.
    pub reasoning_effort: ReasoningEffort,
    /// What it is good for.
    pub description: String,
}

/// Params of `collaborationMode/list`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollaborationModeListParams {}

/// Result of `collaborationMode/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollaborationModeListResponse {
    /// All modes.
    pub data: Vec<CollaborationModeMask>,
}

/// What a mode changes in the settings; absent values stay as they are. Snake case on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollaborationModeMask {
    /// Its name for people.
    pub name: String,
    /// Which mode.
    pub mode: Option<ModeKind>,
    /// The model's slug.
    pub model: Option<String>,
    /// How long it thinks.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Instructions of the mode.
    pub developer_instructions: Option<String>,
}
