//! MCP servers (config.md §7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::common::{Empty, Json};

/// Params of `mcpServerStatus/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListMcpServerStatusParams {
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Most entries of a page; all without it.
    pub limit: Option<u32>,
}

/// Result of `mcpServerStatus/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListMcpServerStatusResponse {
    /// One page, by name.
    pub data: Vec<McpServerStatus>,
    /// Where this page ends, if more follows.
    pub next_cursor: Option<String>,
}

/// What a server offers, as it describes it itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Tools by the name that models use.
    pub tools: BTreeMap<String, Json>,
    /// Resources.
    pub resources: Vec<Json>,
    /// Resource templates.
    pub resource_templates: Vec<Json>,
    /// Whether somebody is logged in there.
    pub auth_status: McpAuthStatus,
}

/// Whether somebody is logged in at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum McpAuthStatus {
    /// It has no login.
    Unsupported,
    /// Nobody is.
    NotLoggedIn,
    /// A token is configured.
    BearerToken,
    /// Somebody is.
    OAuth,
}

/// Params of `mcpServer/oauth/login`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct McpServerOauthLoginParams {
    /// The server.
    pub name: String,
    /// What to ask for; absent means what is configured.
    pub scopes: Option<Vec<String>>,
    /// How long to wait for the browser, in seconds.
    pub timeout_secs: Option<i64>,
}

/// Result of `mcpServer/oauth/login`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct McpServerOauthLoginResponse {
    /// Where the browser has to go.
    pub authorization_url: String,
}

/// Params of `mcpServer/oauthLogin/completed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct McpServerOauthLoginCompletedNotification {
    /// The server.
    pub name: String,
    /// Whether it worked.
    pub success: bool,
    /// Why it did not; left out if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Result of `config/mcpServer/reload`.
pub type McpServerRefreshResponse = Empty;
