//! Logins, the account behind them, and its limits (auth.md §3, §14.1).

use serde::{Deserialize, Serialize};

use super::common::Empty;
use crate::input::FreshTokens;
use crate::secret::Secret;

/// The kind of credentials in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthMode {
    /// An API key.
    #[serde(rename = "apikey")]
    ApiKey,
    /// Tokens from a login in a browser, kept and refreshed here.
    #[serde(rename = "chatgpt")]
    Chatgpt,
    /// Tokens that the host owns and hands in.
    #[serde(rename = "chatgptAuthTokens")]
    ChatgptAuthTokens,
}

/// The user's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PlanType {
    /// Free of charge.
    Free,
    /// Go.
    Go,
    /// Plus.
    Plus,
    /// Pro.
    Pro,
    /// Team.
    Team,
    /// Business.
    Business,
    /// Enterprise.
    Enterprise,
    /// Education.
    Edu,
    /// One that has no name in this protocol.
    #[serde(other)]
    Unknown,
}

/// Params of `account/login/start`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum LoginAccountParams {
    /// With an API key.
    ApiKey {
        /// The key, unchecked.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        api_key: Secret,
    },
    /// In a browser.
    Chatgpt,
    /// With tokens that the host owns.
    ChatgptAuthTokens(ExternalTokens),
    /// With a code that the user types on another device (auth.md §14.2).
    ChatgptDeviceCode,
}

/// Tokens that the host owns, as it hands them in at login and when asked to refresh them.
///
/// Hosts send one of two shapes (auth.md §14.1): with `idToken`, from which account, address and
/// plan are read, or with `chatgptAccountId`; both together are fine. At least one is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "ExternalTokensShape")]
pub struct ExternalTokens {
    /// The bearer for the backend, opaque.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub access_token: Secret,
    /// A JWT with the user's claims.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub id_token: Option<Secret>,
    /// The account (workspace) that the tokens belong to.
    pub account_id: Option<String>,
    /// The user's plan as the host names it.
    pub plan_type: Option<String>,
}

/// Both shapes on the wire. The name that error texts show is the reference's (auth.md §8.3).
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    rename_all = "camelCase",
    expecting = "struct ChatgptAuthTokensRefreshResponse"
)]
struct ExternalTokensShape {
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    id_token: Option<Secret>,
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    access_token: Option<Secret>,
    chatgpt_account_id: Option<String>,
    chatgpt_plan_type: Option<String>,
}

/// A member that has to be there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing field `{0}`")]
pub struct MissingMember(pub &'static str);

impl TryFrom<ExternalTokensShape> for ExternalTokens {
    type Error = MissingMember;

    fn try_from(shape: ExternalTokensShape) -> Result<Self, MissingMember> {
        if shape.id_token.is_none() && shape.chatgpt_account_id.is_none() {
            return Err(MissingMember("idToken"));
        }
        Ok(Self {
            access_token: shape.access_token.ok_or(MissingMember("accessToken"))?,
            id_token: shape.id_token,
            account_id: shape.chatgpt_account_id,
            plan_type: shape.chatgpt_plan_type,
        })
    }
}

impl From<ExternalTokens> for FreshTokens {
    fn from(tokens: ExternalTokens) -> Self {
        Self {
            access_token: tokens.access_token,
            id_token: tokens.id_token,
            account_id: tokens.account_id,
            plan_type: tokens.plan_type,
        }
    }
}

/// Result of `account/login/start`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum LoginAccountResponse {
    /// The key is stored.
    ApiKey {},
    /// The login waits for the user's browser.
    Chatgpt {
        /// Names this login.
        login_id: String,
        /// Where the browser has to go.
        auth_url: String,
    },
    /// The tokens are in force.
    ChatgptAuthTokens {},
    /// The login waits for the user to type a code.
    ChatgptDeviceCode {
        /// Names this login.
        login_id: String,
        /// Where the code is typed.
        verification_url: String,
        /// The code.
        user_code: String,
    },
}

/// Params of `account/login/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelLoginAccountParams {
    /// The login; a UUID in any of its spellings.
    pub login_id: String,
}

/// Result of `account/login/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelLoginAccountResponse {
    /// What became of it.
    pub status: CancelLoginAccountStatus,
}

/// Whether there was a login to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum CancelLoginAccountStatus {
    /// It is canceled.
    Canceled,
    /// No login of that id waits.
    NotFound,
}

/// Result of `account/logout`.
pub type LogoutAccountResponse = Empty;

/// Params of `account/read`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetAccountParams {
    /// Refresh managed tokens first. Here `null` is an error (auth.md §1.4).
    #[serde(default)]
    pub refresh_token: bool,
}

/// Result of `account/read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetAccountResponse {
    /// The account, if somebody is logged in.
    pub account: Option<Account>,
    /// Whether the model provider needs a login at all.
    pub requires_openai_auth: bool,
}

/// Who is logged in. Managed and external tokens look the same here (auth.md §3.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Account {
    /// The owner of an API key.
    ApiKey {},
    /// A ChatGPT user.
    Chatgpt {
        /// Mail address.
        email: String,
        /// Plan.
        plan_type: PlanType,
    },
}

/// Result of `account/rateLimits/read`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetAccountRateLimitsResponse {
    /// How much is used.
    pub rate_limits: RateLimitSnapshot,
}

/// How much of the account's limits is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RateLimitSnapshot {
    /// The shorter window.
    pub primary: Option<RateLimitWindow>,
    /// The longer window.
    pub secondary: Option<RateLimitWindow>,
    /// Bought credits.
    pub credits: Option<CreditsSnapshot>,
    /// Plan.
    pub plan_type: Option<PlanType>,
}

/// One window of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RateLimitWindow {
    /// Used, in percent, rounded.
    pub used_percent: i32,
    /// Length of the window in minutes.
    pub window_duration_mins: Option<i64>,
    /// When it starts afresh, in seconds of Unix time.
    pub resets_at: Option<i64>,
}

/// Credits of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreditsSnapshot {
    /// Whether there are any.
    pub has_credits: bool,
    /// Whether they have no end.
    pub unlimited: bool,
    /// What is left, as the backend writes it.
    pub balance: Option<String>,
}

/// Params of `account/rateLimits/updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccountRateLimitsUpdatedNotification<'a> {
    /// How much is used now.
    pub rate_limits: &'a RateLimitSnapshot,
}

/// Params of `account/updated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccountUpdatedNotification {
    /// The credentials in force from now on.
    pub auth_mode: Option<AuthMode>,
}

/// Params of `account/login/completed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccountLoginCompletedNotification {
    /// The login; none for those that are done at once.
    pub login_id: Option<String>,
    /// Whether it worked.
    pub success: bool,
    /// Why it did not.
    pub error: Option<String>,
}

/// Params of the request `account/chatgptAuthTokens/refresh` to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChatgptAuthTokensRefreshParams {
    /// Why new tokens are needed.
    pub reason: ChatgptAuthTokensRefreshReason,
    /// The account whose token the backend refused.
    pub previous_account_id: Option<String>,
}

/// Why new tokens are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ChatgptAuthTokensRefreshReason {
    /// The backend answered 401.
    Unauthorized,
}

/// The host's answer to `account/chatgptAuthTokens/refresh`.
pub type ChatgptAuthTokensRefreshResponse = ExternalTokens;
