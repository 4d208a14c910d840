//! The user's configuration in the older spelling (config.md §4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::v2::common::{
    AbsolutePathBuf, AskForApproval, ForcedLoginMethod, ReasoningEffort, ReasoningSummary,
    SandboxMode, Verbosity,
};

/// Result of `getUserSavedConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetUserSavedConfigResponse {
    /// The configuration.
    pub config: UserSavedConfig,
}

/// What the files say, without the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserSavedConfig {
    /// Approval policy.
    pub approval_policy: Option<AskForApproval>,
    /// Sandbox.
    pub sandbox_mode: Option<SandboxMode>,
    /// Settings of the sandbox `workspace-write`.
    pub sandbox_settings: Option<SandboxSettings>,
    /// The only workspace that may log in.
    pub forced_chatgpt_workspace_id: Option<String>,
    /// The only kind of login.
    pub forced_login_method: Option<ForcedLoginMethod>,
    /// Model.
    pub model: Option<String>,
    /// How long the model thinks.
    pub model_reasoning_effort: Option<ReasoningEffort>,
    /// How much it tells about that.
    pub model_reasoning_summary: Option<ReasoningSummary>,
    /// How long its answers are.
    pub model_verbosity: Option<Verbosity>,
    /// Tools that are on or off.
    pub tools: Option<Tools>,
    /// The profile in force.
    pub profile: Option<String>,
    /// All profiles.
    pub profiles: BTreeMap<String, Profile>,
}

/// Settings of the sandbox `workspace-write`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SandboxSettings {
    /// Places besides the working directory that may be written.
    #[serde(default)]
    pub writable_roots: Vec<AbsolutePathBuf>,
    /// Whether commands reach the network.
    pub network_access: Option<bool>,
    /// Keep `$TMPDIR` read-only.
    pub exclude_tmpdir_env_var: Option<bool>,
    /// Keep `/tmp` read-only.
    pub exclude_slash_tmp: Option<bool>,
}

/// Tools that are on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tools {
    /// Search in the web.
    pub web_search: Option<bool>,
    /// Looking at pictures.
    pub view_image: Option<bool>,
}

/// A profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Profile {
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
    /// Where the account's backend is.
    pub chatgpt_base_url: Option<String>,
}
