//! Configuration: read and written (config.md §4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::common::{
    AbsolutePathBuf, AskForApproval, ForcedLoginMethod, ReasoningEffort, ReasoningSummary,
    SandboxMode, Verbosity, WebSearchMode, null_is_default,
};

/// Params of `config/read`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigReadParams {
    /// With the layers one by one.
    #[serde(default, deserialize_with = "null_is_default")]
    pub include_layers: bool,
    /// With the layers of the projects around this directory.
    pub cwd: Option<String>,
}

/// Result of `config/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigReadResponse {
    /// What the layers together say.
    pub config: Config,
    /// Where each value comes from, by dotted path.
    pub origins: BTreeMap<String, ConfigLayerMetadata>,
    /// The layers, strongest first; left out if not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<ConfigLayer>>,
}

/// What the layers together say, without profiles. Snake case; members that are not named here
/// stand beside those that are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Config {
    /// Model.
    pub model: Option<String>,
    /// Model of reviews.
    pub review_model: Option<String>,
    /// The model's window in tokens.
    pub model_context_window: Option<i64>,
    /// Tokens from which the history is made shorter.
    pub model_auto_compact_token_limit: Option<i64>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// Sandbox.
    pub sandbox_mode: Option<SandboxMode>,
    /// Settings of the sandbox `workspace-write`.
    pub sandbox_workspace_write: Option<SandboxWorkspaceWrite>,
    /// The only workspace that may log in.
    pub forced_chatgpt_workspace_id: Option<String>,
    /// The only kind of login.
    pub forced_login_method: Option<ForcedLoginMethod>,
    /// Search in the web.
    pub web_search: Option<WebSearchMode>,
    /// Tools that are on or off.
    pub tools: Option<ToolsV2>,
    /// The profile in force.
    pub profile: Option<String>,
    /// All profiles.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileV2>,
    /// Shown, not used.
    pub instructions: Option<String>,
    /// Instructions besides the usual ones.
    pub developer_instructions: Option<String>,
    /// What to ask when the history is made shorter.
    pub compact_prompt: Option<String>,
    /// How long the model thinks.
    pub model_reasoning_effort: Option<ReasoningEffort>,
    /// How much it tells about that.
    pub model_reasoning_summary: Option<ReasoningSummary>,
    /// How long its answers are.
    pub model_verbosity: Option<Verbosity>,
    /// Usage statistics.
    pub analytics: Option<AnalyticsConfig>,
    /// Everything else.
    #[serde(flatten)]
    pub additional: BTreeMap<String, Value>,
}

/// Settings of the sandbox `workspace-write`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxWorkspaceWrite {
    /// Places besides the working directory that may be written.
    #[serde(default)]
    pub writable_roots: Vec<String>,
    /// Whether commands reach the network.
    #[serde(default)]
    pub network_access: bool,
    /// Keep `$TMPDIR` read-only.
    #[serde(default)]
    pub exclude_tmpdir_env_var: bool,
    /// Keep `/tmp` read-only.
    #[serde(default)]
    pub exclude_slash_tmp: bool,
}

/// Tools that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolsV2 {
    /// Search in the web; files may also use the older name.
    #[serde(alias = "web_search_request")]
    pub web_search: Option<bool>,
    /// Looking at pictures.
    pub view_image: Option<bool>,
}

/// A profile; members not named here stand beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProfileV2 {
    /// Model.
    pub model: Option<String>,
    /// Where the model runs.
    pub model_provider: Option<String>,
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// How long the model thinks.
    pub model_reasoning_effort: Option<ReasoningEffort>,
    /// How much it tells about that.
    pub model_reasoning_summary: Option<ReasoningSummary>,
    /// How long its answers are.
    pub model_verbosity: Option<Verbosity>,
    /// Search in the web.
    pub web_search: Option<WebSearchMode>,
    /// Where the account's backend is.
    pub chatgpt_base_url: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub additional: BTreeMap<String, Value>,
}

/// Usage statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsConfig {
    /// Whether they are sent.
    pub enabled: Option<bool>,
    /// Everything else.
    #[serde(flatten)]
    pub additional: BTreeMap<String, Value>,
}

/// A layer without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigLayerMetadata {
    /// Which.
    pub name: ConfigLayerSource,
    /// Changes with its content.
    pub version: String,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigLayer {
    /// Which.
    pub name: ConfigLayerSource,
    /// Changes with its content.
    pub version: String,
    /// What it says.
    pub config: Value,
    /// Why it does not count; left out if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
}

/// Where a layer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ConfigLayerSource {
    /// The device management of a Mac.
    Mdm {
        /// Domain of the preference.
        domain: String,
        /// Its key.
        key: String,
    },
    /// A file for the whole machine.
    System {
        /// The file.
        file: AbsolutePathBuf,
    },
    /// The user's file.
    User {
        /// The file.
        file: AbsolutePathBuf,
    },
    /// A project's directory.
    Project {
        /// The directory.
        dot_codex_folder: AbsolutePathBuf,
    },
    /// The command line.
    SessionFlags,
    /// An administrator's file in the older form.
    LegacyManagedConfigTomlFromFile {
        /// The file.
        file: AbsolutePathBuf,
    },
    /// The same from device management.
    LegacyManagedConfigTomlFromMdm,
}

/// Params of `config/value/write`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigValueWriteParams {
    /// Dotted path.
    pub key_path: String,
    /// The value; `null` removes it.
    pub value: Value,
    /// What becomes of the old value.
    pub merge_strategy: MergeStrategy,
    /// The file; only the user's may be named.
    pub file_path: Option<String>,
    /// Refuse if the file has another version.
    pub expected_version: Option<String>,
}

/// Params of `config/batchWrite`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigBatchWriteParams {
    /// All are made, or none.
    pub edits: Vec<ConfigEdit>,
    /// The file; only the user's may be named.
    pub file_path: Option<String>,
    /// Refuse if the file has another version.
    pub expected_version: Option<String>,
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigEdit {
    /// Dotted path.
    pub key_path: String,
    /// The value; `null` removes it.
    pub value: Value,
    /// What becomes of the old value.
    pub merge_strategy: MergeStrategy,
}

/// What becomes of the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum MergeStrategy {
    /// It goes.
    Replace,
    /// Tables are merged.
    Upsert,
}

/// Result of `config/value/write` and `config/batchWrite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigWriteResponse {
    /// Whether the new value counts.
    pub status: WriteStatus,
    /// The file's new version.
    pub version: String,
    /// The file.
    pub file_path: AbsolutePathBuf,
    /// What outranks the new value.
    pub overridden_metadata: Option<OverriddenMetadata>,
}

/// Whether a written value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum WriteStatus {
    /// It does.
    Ok,
    /// It is written, but a stronger layer says otherwise.
    OkOverridden,
}

/// What outranks a written value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OverriddenMetadata {
    /// In words.
    pub message: String,
    /// The stronger layer.
    pub overriding_layer: ConfigLayerMetadata,
    /// What it says.
    pub effective_value: Value,
}

/// Result of `configRequirements/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigRequirementsReadResponse {
    /// What the administrator requires; none if nothing.
    pub requirements: Option<ConfigRequirements>,
}

/// What the administrator requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigRequirements {
    /// Approval policies that may be chosen.
    pub allowed_approval_policies: Option<Vec<AskForApproval>>,
    /// Sandboxes that may be chosen.
    pub allowed_sandbox_modes: Option<Vec<SandboxMode>>,
    /// Where data has to stay.
    pub enforce_residency: Option<ResidencyRequirement>,
}

/// Where data has to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ResidencyRequirement {
    /// In the United States.
    Us,
}
