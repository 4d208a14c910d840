//! Skills (config.md §7).

use serde::{Deserialize, Serialize};

use super::common::null_is_default;

/// Params of `skills/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillsListParams {
    /// For which working directories; none means the server's own.
    #[serde(default, deserialize_with = "null_is_default")]
    pub cwds: Vec<String>,
    /// Look at the files again.
    #[serde(default, deserialize_with = "null_is_default")]
    pub force_reload: bool,
}

/// Result of `skills/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillsListResponse {
    /// One entry for each working directory.
    pub data: Vec<SkillsListEntry>,
}

/// The skills of one working directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillsListEntry {
    /// The directory as it was given.
    pub cwd: String,
    /// Skills that can be used.
    pub skills: Vec<SkillMetadata>,
    /// Files that cannot.
    pub errors: Vec<SkillErrorInfo>,
}

/// What is known of a skill without reading it whole. Absent values are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillMetadata {
    /// Its name.
    pub name: String,
    /// When to use it.
    pub description: String,
    /// The same in short, as older files have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_description: Option<String>,
    /// How to show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<SkillInterface>,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<SkillDependencies>,
    /// Its file.
    pub path: String,
    /// Whose it is.
    pub scope: SkillScope,
    /// Whether it is used.
    pub enabled: bool,
}

/// Whose a skill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SkillScope {
    /// The user's.
    User,
    /// The repository's.
    Repo,
    /// The server's own.
    System,
    /// The administrator's.
    Admin,
}

/// How to show a skill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillInterface {
    /// Its name for people.
    pub display_name: Option<String>,
    /// In short.
    pub short_description: Option<String>,
    /// Path of a picture.
    pub icon_small: Option<String>,
    /// Path of a larger picture.
    pub icon_large: Option<String>,
    /// `#rrggbb`
    pub brand_color: Option<String>,
    /// What to say first.
    pub default_prompt: Option<String>,
}

/// What a skill needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillDependencies {
    /// Tools.
    pub tools: Vec<SkillToolDependency>,
}

/// A tool that a skill needs. Absent values are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillToolDependency {
    /// What kind of tool.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which.
    pub value: String,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// What starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillErrorInfo {
    /// The file.
    pub path: String,
    /// Why not.
    pub message: String,
}

/// Params of `skills/config/write`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillsConfigWriteParams {
    /// The skill's file.
    pub path: String,
    /// Whether to use it.
    pub enabled: bool,
}

/// Result of `skills/config/write`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillsConfigWriteResponse {
    /// Whether it is used now.
    pub effective_enabled: bool,
}
