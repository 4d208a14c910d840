//! The first request of a connection.

use serde::{Deserialize, Serialize};

use super::common::null_is_default;

/// Params of `initialize`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// Who the client is.
    pub client_info: ClientInfo,
    /// What it can do and does not want; only newer clients say so.
    #[serde(default, deserialize_with = "null_is_default")]
    pub capabilities: InitializeCapabilities,
}

/// Who the client is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClientInfo {
    /// Its name in a form fit for an HTTP header.
    pub name: String,
    /// Its name as people know it.
    #[serde(default)]
    pub title: Option<String>,
    /// Its version.
    pub version: String,
}

/// What a client can do and does not want (clients.md §1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InitializeCapabilities {
    /// Whether it uses parts of the protocol that may change.
    #[serde(default, deserialize_with = "null_is_default")]
    pub experimental_api: bool,
    /// Methods of notifications that it does not want to get.
    #[serde(default, deserialize_with = "null_is_default")]
    pub opt_out_notification_methods: Vec<String>,
}

/// Result of `initialize`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InitializeResponse {
    /// Name and version of both sides and of the system (protocol.md §2).
    pub user_agent: String,
}
