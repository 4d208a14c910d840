//! Logins in the older spelling (auth.md §3.8, §3.9).

use serde::{Deserialize, Serialize, Serializer};

use super::id::Id;
use crate::secret::Secret;
use crate::wire::v2::account::AuthMode;
use crate::wire::v2::common::Empty;

/// Params of `getAuthStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetAuthStatusParams {
    /// Put the bearer into the result.
    #[serde(default)]
    pub include_token: Option<bool>,
    /// Refresh managed tokens first.
    #[serde(default)]
    pub refresh_token: Option<bool>,
}

/// Result of `getAuthStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetAuthStatusResponse {
    /// The credentials in force, if they can be used.
    pub auth_method: Option<AuthMode>,
    /// The bearer, if it was asked for.
    #[serde(serialize_with = "expose")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub auth_token: Option<Secret>,
    /// Whether the model provider needs a login at all.
    pub requires_openai_auth: Option<bool>,
}

fn expose<S: Serializer>(token: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    token.as_ref().map(Secret::expose).serialize(serializer)
}

/// Params of `loginApiKey`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoginApiKeyParams {
    /// The key, unchecked.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub api_key: Secret,
}

/// Result of `loginApiKey`.
pub type LoginApiKeyResponse = Empty;

/// Result of `loginChatGpt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoginChatGptResponse {
    /// Names this login.
    pub login_id: Id,
    /// Where the browser has to go.
    pub auth_url: String,
}

/// Params of `cancelLoginChatGpt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelLoginChatGptParams {
    /// The login.
    pub login_id: Id,
}

/// Result of `cancelLoginChatGpt`.
pub type CancelLoginChatGptResponse = Empty;

/// Result of `logoutChatGpt`.
pub type LogoutChatGptResponse = Empty;

/// Result of `userInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserInfoResponse {
    /// The mail address in the token, not verified.
    pub alleged_user_email: Option<String>,
}

/// Params of `authStatusChange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AuthStatusChangeNotification {
    /// The credentials in force from now on.
    pub auth_method: Option<AuthMode>,
}

/// Params of `loginChatGptComplete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoginChatGptCompleteNotification {
    /// The login.
    pub login_id: Id,
    /// Whether it worked.
    pub success: bool,
    /// Why it did not.
    pub error: Option<String>,
}
