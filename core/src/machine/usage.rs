//! `account/rateLimits/read`: how much of the account's limits is used (auth.md §3.7, §10.5).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Machine;
use super::errands::What;
use crate::effect::{HttpRequest, Method};
use crate::exchange::{Reply, Response};
use crate::limits;
use crate::model::headers::{self, AccountFacts};
use crate::outside::Outside;
use crate::pending::Ticket;
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::{
    CreditsSnapshot, GetAccountRateLimitsResponse, PlanType, RateLimitSnapshot, RateLimitWindow,
};

/// A host that waits for the account's usage.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct UsageErrand {
    ticket: Ticket,
    url: String,
}

/// The backend's answer. What it does not know of is left out, and so are values it cannot read.
#[derive(Deserialize)]
struct Payload {
    plan_type: String,
    #[serde(default)]
    rate_limit: Option<Limit>,
    #[serde(default)]
    credits: Option<Credits>,
    #[serde(default)]
    additional_rate_limits: Option<Vec<Additional>>,
}

#[derive(Deserialize)]
struct Limit {
    #[serde(default)]
    primary_window: Option<Window>,
    #[serde(default)]
    secondary_window: Option<Window>,
}

#[derive(Deserialize)]
struct Window {
    used_percent: f64,
    #[serde(default)]
    limit_window_seconds: Option<i64>,
    #[serde(default)]
    reset_at: Option<i64>,
}

#[derive(Deserialize)]
struct Credits {
    has_credits: bool,
    unlimited: bool,
    #[serde(default)]
    balance: Option<String>,
}

#[derive(Deserialize)]
struct Additional {
    metered_feature: String,
    #[serde(default)]
    rate_limit: Option<Limit>,
}

/// The limit that every account has, among those by id.
const MAIN_LIMIT: &str = "codex";

impl Machine {
    /// Reads the account's usage for a host that asked for it.
    pub(super) fn read_usage(&mut self, ticket: Ticket) {
        let base = self.config.as_ref().map(|config| config.login.chatgpt_base_url.as_str());
        let url = usage_url(base.unwrap_or_default());
        self.run_errand(What::Usage(UsageErrand { ticket, url }));
    }
}

impl UsageErrand {
    pub(super) fn request(&self, facts: &AccountFacts<'_>) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: self.url.clone(),
            headers: headers::plain_account_headers(facts),
            body: Vec::new(),
            head_limit: None,
            total_limit: Some(limits::USAGE_LIMIT),
        }
    }

    pub(super) fn answer(self, out: &mut Outside, reply: Reply) {
        let read = reply.map_err(|failure| failure.text).and_then(|response| self.read(&response));
        match read {
            Ok(answer) => out.reply(self.ticket, answer),
            Err(detail) => {
                let text = format!("failed to fetch codex rate limits: {detail}");
                out.refuse(self.ticket, &Refusal::internal(text));
            }
        }
    }

    fn read(&self, response: &Response) -> Result<GetAccountRateLimitsResponse, String> {
        let url = &self.url;
        let kind = response.head.header("content-type").unwrap_or_default();
        let body: String = response.text().chars().take(limits::HOST_ERROR_CHARS_MAX).collect();
        if !response.is_success() {
            let status = crate::model::errors::named(response.head.status);
            return Err(format!("GET {url} failed: {status}; content-type={kind}; body={body}"));
        }
        serde_json::from_slice::<Payload>(&response.body).map(Payload::into_answer).map_err(|err| {
            format!("Decode error for {url}: {err}; content-type={kind}; body={body}")
        })
    }
}

impl Payload {
    fn into_answer(self) -> GetAccountRateLimitsResponse {
        let plan_type = Some(plan(&self.plan_type));
        let credits = self.credits.map(|credits| CreditsSnapshot {
            has_credits: credits.has_credits,
            unlimited: credits.unlimited,
            balance: credits.balance,
        });
        let (primary, secondary) = windows(self.rate_limit);
        let rate_limits = RateLimitSnapshot { primary, secondary, credits, plan_type };
        let mut by_id = BTreeMap::from([(MAIN_LIMIT.to_owned(), rate_limits.clone())]);
        for additional in self.additional_rate_limits.into_iter().flatten() {
            let (primary, secondary) = windows(additional.rate_limit);
            let limit = RateLimitSnapshot { primary, secondary, credits: None, plan_type };
            by_id.insert(additional.metered_feature, limit);
        }
        GetAccountRateLimitsResponse { rate_limits, rate_limits_by_limit_id: Some(by_id) }
    }
}

fn windows(limit: Option<Limit>) -> (Option<RateLimitWindow>, Option<RateLimitWindow>) {
    let shown = |window: Window| RateLimitWindow {
        // The cast saturates.
        used_percent: window.used_percent.round() as i32,
        window_duration_mins: window
            .limit_window_seconds
            .filter(|seconds| *seconds > 0)
            .map(|seconds| seconds.saturating_add(59) / 60),
        resets_at: window.reset_at,
    };
    let limit = limit.unwrap_or(Limit { primary_window: None, secondary_window: None });
    (limit.primary_window.map(shown), limit.secondary_window.map(shown))
}

/// The backend's names of plans; those without a name on the wire are unknown.
fn plan(name: &str) -> PlanType {
    match name {
        "education" => PlanType::Edu,
        "guest" | "free_workspace" | "quorum" | "k12" => PlanType::Unknown,
        name => crate::auth::plan_from_claim(name),
    }
}

/// Where the usage is (auth.md §10.5).
fn usage_url(base: &str) -> String {
    let base = base.trim_end_matches('/');
    let is_first_party =
        base.starts_with("https://chatgpt.com") || base.starts_with("https://chat.openai.com");
    let middle = if is_first_party && !base.contains("/backend-api") { "/backend-api" } else { "" };
    let base = format!("{base}{middle}");
    let path = if base.contains("/backend-api") { "wham/usage" } else { "api/codex/usage" };
    format!("{base}/{path}")
}

#[cfg(test)]
mod tests {
    use super::{Payload, usage_url};

    #[test]
    fn urls() {
        for (base, want) in [
            ("https://chatgpt.com/backend-api/", "https://chatgpt.com/backend-api/wham/usage"),
            ("https://chatgpt.com", "https://chatgpt.com/backend-api/wham/usage"),
            ("http://127.0.0.1:1/", "http://127.0.0.1:1/api/codex/usage"),
        ] {
            assert_eq!(usage_url(base), want);
        }
    }

    #[test]
    fn a_payload() {
        let json = r#"{"plan_type":"education","rate_limit":{"allowed":true,
            "primary_window":{"used_percent":42,"limit_window_seconds":3601,"reset_at":7},
            "secondary_window":{"used_percent":1,"limit_window_seconds":0}},
            "credits":{"has_credits":true,"unlimited":false,"balance":"9.99"}}"#;
        let payload: Payload = serde_json::from_str(json).expect("a payload");
        let text = serde_json::to_string(&payload.into_answer().rate_limits).expect("JSON");
        let want = r#"{"primary":{"usedPercent":42,"windowDurationMins":61,"resetsAt":7},"secondary":{"usedPercent":1,"windowDurationMins":null,"resetsAt":null},"credits":{"hasCredits":true,"unlimited":false,"balance":"9.99"},"planType":"edu"}"#;
        assert_eq!(text, want);
    }
}
