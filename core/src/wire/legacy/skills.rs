//! Skills in the older spelling: what `list_skills_response` carries. Snake case.

use serde::{Deserialize, Serialize};

use crate::wire::v2::skills::{SkillDependencies, SkillErrorInfo, SkillScope};

/// The skills of one working directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillsListEntry {
    /// The directory.
    pub cwd: String,
    /// Skills that can be used.
    pub skills: Vec<SkillMetadata>,
    /// Files that cannot.
    pub errors: Vec<SkillErrorInfo>,
}

/// What is known of a skill without reading it whole. Absent values are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// How to show a skill. Absent values are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkillInterface {
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// In short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_description: Option<String>,
    /// Path of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_small: Option<String>,
    /// Path of a larger picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_large: Option<String>,
    /// `#rrggbb`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand_color: Option<String>,
    /// What to say first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_prompt: Option<String>,
}
