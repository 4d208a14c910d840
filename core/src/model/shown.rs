//! What clients see of the model's data: the same facts in the wire's types.

use super::catalogue::{ModelRecord, Visibility};
use super::errors::ErrorInfo;
use super::rate_limits::{Snapshot, Window};
use super::usage::{TokenUsage, TokenUsageInfo};
use crate::config::kinds::ReasoningEffort;
use crate::wire::legacy::rate_limit as legacy;
use crate::wire::v2::account::{CreditsSnapshot, RateLimitSnapshot, RateLimitWindow};
use crate::wire::v2::model::{Model, ReasoningEffortOption};
use crate::wire::v2::turn::{ThreadTokenUsage, TokenUsageBreakdown};
use crate::wire::v2::turn_error::CodexErrorInfo;

impl From<ErrorInfo> for CodexErrorInfo {
    fn from(info: ErrorInfo) -> Self {
        match info {
            ErrorInfo::ContextWindowExceeded => Self::ContextWindowExceeded,
            ErrorInfo::UsageLimitExceeded => Self::UsageLimitExceeded,
            ErrorInfo::ModelCap { model, reset_after_seconds } => {
                Self::ModelCap { model, reset_after_seconds }
            }
            ErrorInfo::ResponseStreamDisconnected { http_status } => {
                Self::ResponseStreamDisconnected { http_status_code: http_status }
            }
            ErrorInfo::ResponseTooManyFailedAttempts { http_status } => {
                Self::ResponseTooManyFailedAttempts { http_status_code: http_status }
            }
            ErrorInfo::InternalServerError => Self::InternalServerError,
            ErrorInfo::Unauthorized => Self::Unauthorized,
            ErrorInfo::BadRequest => Self::BadRequest,
            ErrorInfo::ThreadRollbackFailed => Self::ThreadRollbackFailed,
            ErrorInfo::SandboxError => Self::SandboxError,
            ErrorInfo::Other => Self::Other,
        }
    }
}

impl From<&Snapshot> for RateLimitSnapshot {
    fn from(snapshot: &Snapshot) -> Self {
        let window = |window: &Window| RateLimitWindow {
            used_percent: window.used_percent_rounded(),
            window_duration_mins: window.window_minutes,
            resets_at: window.resets_at,
        };
        Self {
            primary: snapshot.primary.as_ref().map(window),
            secondary: snapshot.secondary.as_ref().map(window),
            credits: snapshot.credits.as_ref().map(|credits| CreditsSnapshot {
                has_credits: credits.has_credits,
                unlimited: credits.unlimited,
                balance: credits.balance.clone(),
            }),
            // Headers never tell the plan (engine.md §2.5).
            plan_type: None,
        }
    }
}

impl From<&TokenUsageInfo> for ThreadTokenUsage {
    fn from(info: &TokenUsageInfo) -> Self {
        let shown = |usage: TokenUsage| TokenUsageBreakdown {
            total_tokens: usage.total_tokens,
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
        };
        Self {
            total: shown(info.total_token_usage),
            last: shown(info.last_token_usage),
            model_context_window: info.model_context_window,
        }
    }
}

impl From<&Snapshot> for legacy::RateLimitSnapshot {
    fn from(snapshot: &Snapshot) -> Self {
        let window = |window: &Window| legacy::RateLimitWindow {
            used_percent: window.used_percent,
            window_minutes: window.window_minutes,
            resets_at: window.resets_at,
        };
        Self {
            primary: snapshot.primary.as_ref().map(window),
            secondary: snapshot.secondary.as_ref().map(window),
            credits: snapshot.credits.as_ref().map(|credits| legacy::CreditsSnapshot {
                has_credits: credits.has_credits,
                unlimited: credits.unlimited,
                balance: credits.balance.clone(),
            }),
            plan_type: None,
        }
    }
}

impl From<&TokenUsageInfo> for legacy::TokenUsageInfo {
    fn from(info: &TokenUsageInfo) -> Self {
        let shown = |usage: TokenUsage| legacy::TokenUsage {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
            total_tokens: usage.total_tokens,
        };
        Self {
            total_token_usage: shown(info.total_token_usage),
            last_token_usage: shown(info.last_token_usage),
            model_context_window: info.model_context_window,
        }
    }
}

impl From<legacy::TokenUsageInfo> for TokenUsageInfo {
    fn from(info: legacy::TokenUsageInfo) -> Self {
        let read = |usage: legacy::TokenUsage| TokenUsage {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_output_tokens: usage.reasoning_output_tokens,
            total_tokens: usage.total_tokens,
        };
        Self {
            total_token_usage: read(info.total_token_usage),
            last_token_usage: read(info.last_token_usage),
            model_context_window: info.model_context_window,
        }
    }
}

impl ModelRecord {
    /// The entry of `model/list`.
    pub(crate) fn view(&self, is_default: bool) -> Model {
        let efforts = self.supported_reasoning_levels.iter();
        Model {
            id: self.slug.to_string(),
            model: self.slug.to_string(),
            display_name: self.display_name.to_string(),
            description: self.description.as_deref().unwrap_or_default().to_owned(),
            hidden: self.visibility != Visibility::List,
            supported_reasoning_efforts: efforts
                .map(|option| ReasoningEffortOption {
                    reasoning_effort: option.effort,
                    description: option.description.to_string(),
                })
                .collect(),
            default_reasoning_effort: self.default_reasoning_level.unwrap_or(ReasoningEffort::None),
            supports_personality: self.supports_personality(),
            is_default,
        }
    }
}
