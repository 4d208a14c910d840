//! Custom prompts, which the reference has no method for.

use serde::{Deserialize, Serialize};

/// Params of `customPrompts/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct CustomPromptsListParams {}

/// Result of `customPrompts/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomPromptsListResponse {
    /// The prompts, by name.
    pub data: Vec<CustomPrompt>,
    /// Files that should be prompts and cannot be read.
    pub errors: Vec<CustomPromptError>,
}

/// A prompt: an input `/prompts:NAME` stands for its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomPrompt {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// What it is for, if its head says.
    pub description: Option<String>,
    /// What may follow its name, if its head says.
    pub argument_hint: Option<String>,
    /// The text without its head, with places for what follows the name.
    pub content: String,
}

/// A file that is no prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CustomPromptError {
    /// The file, or the folder of all.
    pub path: String,
    /// Why.
    pub message: String,
}
