//! Tokens and limits in the older spelling, with conversions.

use serde::{Deserialize, Serialize};

use crate::wire::v2;
use crate::wire::v2::account::PlanType;

/// Tokens that a thread has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUsageInfo {
    /// Of all requests together.
    pub total_token_usage: TokenUsage,
    /// Of the last request.
    pub last_token_usage: TokenUsage,
    /// The model's window in tokens, if it is known.
    pub model_context_window: Option<i64>,
}

/// Tokens by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenUsage {
    /// Sent.
    pub input_tokens: i64,
    /// Of those sent, answered from the backend's cache.
    pub cached_input_tokens: i64,
    /// Received.
    pub output_tokens: i64,
    /// Of those received, spent on reasoning.
    pub reasoning_output_tokens: i64,
    /// All.
    pub total_tokens: i64,
}

/// How much of the account's limits is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateLimitWindow {
    /// Used, in percent.
    pub used_percent: f64,
    /// Length of the window in minutes.
    pub window_minutes: Option<i64>,
    /// When it starts afresh, in seconds of Unix time.
    pub resets_at: Option<i64>,
}

/// Credits of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreditsSnapshot {
    /// Whether there are any.
    pub has_credits: bool,
    /// Whether they have no end.
    pub unlimited: bool,
    /// What is left, as the backend writes it.
    pub balance: Option<String>,
}

impl From<TokenUsage> for v2::turn::TokenUsageBreakdown {
    fn from(usage: TokenUsage) -> Self {
        Self {
            total_tokens: usage.total_tokens,
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
        }
    }
}

impl From<TokenUsageInfo> for v2::turn::ThreadTokenUsage {
    fn from(info: TokenUsageInfo) -> Self {
        Self {
            total: info.total_token_usage.into(),
            last: info.last_token_usage.into(),
            model_context_window: info.model_context_window,
        }
    }
}

impl From<RateLimitWindow> for v2::account::RateLimitWindow {
    /// Rounds; a percentage that is no number becomes 0, one out of range the nearest that fits.
    fn from(window: RateLimitWindow) -> Self {
        Self {
            used_percent: window.used_percent.round() as i32,
            window_duration_mins: window.window_minutes,
            resets_at: window.resets_at,
        }
    }
}

impl From<RateLimitSnapshot> for v2::account::RateLimitSnapshot {
    fn from(snapshot: RateLimitSnapshot) -> Self {
        Self {
            primary: snapshot.primary.map(Into::into),
            secondary: snapshot.secondary.map(Into::into),
            credits: snapshot.credits.map(|credits| v2::account::CreditsSnapshot {
                has_credits: credits.has_credits,
                unlimited: credits.unlimited,
                balance: credits.balance,
            }),
            plan_type: snapshot.plan_type,
        }
    }
}
