//! Apps that the account is connected with (config.md §7.7).

use serde::{Deserialize, Serialize};

use super::common::null_is_default;

/// Params of `app/list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppsListParams {
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Most entries of a page; all without it.
    pub limit: Option<u32>,
}

/// Result of `app/list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AppsListResponse {
    /// One page.
    pub data: Vec<AppInfo>,
    /// Where this page ends, if more follows.
    pub next_cursor: Option<String>,
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AppInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is good for.
    pub description: Option<String>,
    /// Its picture.
    pub logo_url: Option<String>,
    /// Its picture on dark ground.
    pub logo_url_dark: Option<String>,
    /// Who offers it.
    pub distribution_channel: Option<String>,
    /// Where it can be connected.
    pub install_url: Option<String>,
    /// Whether it is connected.
    #[serde(default, deserialize_with = "null_is_default")]
    pub is_accessible: bool,
}
