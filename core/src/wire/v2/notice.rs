//! Warnings that belong to no turn (protocol.md §2).

use serde::{Deserialize, Serialize};

/// Params of `configWarning`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigWarningNotification {
    /// What is wrong.
    pub summary: String,
    /// In more words.
    pub details: Option<String>,
    /// The file; left out if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The place in it; left out if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<TextRange>,
}

/// A piece of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextRange {
    /// First character.
    pub start: TextPosition,
    /// Last character.
    pub end: TextPosition,
}

/// A place in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextPosition {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// Params of `deprecationNotice`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeprecationNoticeNotification {
    /// What goes away.
    pub summary: String,
    /// What to do about it.
    pub details: Option<String>,
}

/// Params of `windows/worldWritableWarning`; never sent on the systems that are served here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WindowsWorldWritableWarningNotification {
    /// Some of the directories that anybody may write.
    pub sample_paths: Vec<String>,
    /// How many more there are.
    pub extra_count: usize,
    /// Whether the search for them failed.
    pub failed_scan: bool,
}
