//! Owns: counting tokens (engine.md §2.6): what a response cost, the sum over a thread, how full
//! the context window is, and estimates where the backend gave no number.
//! Never: decides when to compact.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Tokens of one response, or a sum of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenUsage {
    /// Tokens of the request, cached ones included.
    pub(crate) input_tokens: i64,
    /// Those of them that the backend had in its cache.
    pub(crate) cached_input_tokens: i64,
    /// Tokens that the model wrote, reasoning included.
    pub(crate) output_tokens: i64,
    /// Those of them that were reasoning.
    pub(crate) reasoning_output_tokens: i64,
    /// All tokens, as the backend counts them.
    pub(crate) total_tokens: i64,
}

impl TokenUsage {
    /// A count of which only the total is known.
    pub(crate) fn of_total(total_tokens: i64) -> Self {
        Self { total_tokens, ..Self::default() }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_input_tokens: self.cached_input_tokens.saturating_add(other.cached_input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_output_tokens: self
                .reasoning_output_tokens
                .saturating_add(other.reasoning_output_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
        }
    }
}

/// `usage` as the Responses API writes it. Negative counts are taken as none.
#[derive(Debug, Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    input_tokens: i64,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens: i64,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
    #[serde(default)]
    total_tokens: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: i64,
}

#[derive(Debug, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: i64,
}

impl From<WireUsage> for TokenUsage {
    fn from(wire: WireUsage) -> Self {
        let input_tokens = wire.input_tokens.max(0);
        let output_tokens = wire.output_tokens.max(0);
        Self {
            input_tokens,
            cached_input_tokens: wire.input_tokens_details.map_or(0, |d| d.cached_tokens.max(0)),
            output_tokens,
            reasoning_output_tokens: wire
                .output_tokens_details
                .map_or(0, |d| d.reasoning_tokens.max(0)),
            total_tokens: wire
                .total_tokens
                .map_or(input_tokens.saturating_add(output_tokens), |total| total.max(0)),
        }
    }
}

/// What a thread has used so far; serialises as `token_count` events carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenUsageInfo {
    /// The sum over all responses.
    pub(crate) total_token_usage: TokenUsage,
    /// The last response.
    pub(crate) last_token_usage: TokenUsage,
    /// Size of the context window that a thread may use, if known.
    #[serde(default)]
    pub(crate) model_context_window: Option<i64>,
}

impl TokenUsageInfo {
    /// Counts one response. The window is that of the model that answered, also when the thread
    /// began with another one (engine.md §13 no. 27).
    pub(crate) fn add(&mut self, usage: TokenUsage, window: Option<i64>) {
        self.total_token_usage = self.total_token_usage.plus(usage);
        self.last_token_usage = usage;
        self.model_context_window = window.or(self.model_context_window);
    }

    /// The backend said that the context is full. Both counts become the whole window, so that
    /// the next check before a turn sees a full window too (engine.md §13 no. 26).
    pub(crate) fn fill_window(&mut self, window: i64) {
        self.total_token_usage = TokenUsage::of_total(window);
        self.last_token_usage = TokenUsage::of_total(window);
        self.model_context_window = Some(window);
    }

    /// After a compaction or a rollback the size of the context is known by estimate only.
    pub(crate) fn set_estimate(&mut self, tokens: i64) {
        self.last_token_usage = TokenUsage::of_total(tokens);
    }
}

/// The part of a model's window that a thread may use: `context_window * percent / 100`.
pub(crate) fn usable_window(context_window: i64, percent: i64) -> i64 {
    context_window.saturating_mul(percent) / 100
}

/// Estimated tokens of a whole prompt, from its instructions and its items as JSON.
pub(crate) fn estimate_prompt<'a>(
    instructions: &str,
    items: impl IntoIterator<Item = &'a str>,
) -> i64 {
    items.into_iter().map(estimate_item).fold(tokens_of(len_of(instructions)), i64::saturating_add)
}

/// Estimated tokens of the encrypted reasoning among these items, given as JSON: most backends leave
/// what came before the user's last message out of their counts.
pub(crate) fn estimate_reasoning<'a>(items: impl IntoIterator<Item = &'a str>) -> i64 {
    let bytes = items.into_iter().map(|json| match serde_json::from_str::<Peek<'_>>(json) {
        Ok(Peek { kind, encrypted_content: Some(text) }) if kind == "reasoning" => {
            decoded_bytes(&text)
        }
        _ => 0,
    });
    tokens_of(bytes.fold(0, i64::saturating_add))
}

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    encrypted_content: Option<String>,
}

/// Estimated tokens of one item of the history, given as JSON.
fn estimate_item(json: &str) -> i64 {
    match serde_json::from_str::<Peek<'_>>(json) {
        Ok(item) if item.kind == "ghost_snapshot" => 0,
        Ok(Peek { encrypted_content: Some(text), .. }) => tokens_of(decoded_bytes(&text)),
        _ => tokens_of(len_of(json)),
    }
}

/// Base64 takes four bytes for three, and about 650 bytes are the envelope's own (engine.md §2.6).
fn decoded_bytes(encrypted: &str) -> i64 {
    (len_of(encrypted).saturating_mul(3) / 4).saturating_sub(650).max(0)
}

fn tokens_of(bytes: i64) -> i64 {
    bytes.saturating_add(3) / 4
}

fn len_of(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> TokenUsage {
        serde_json::from_str::<WireUsage>(json).expect("usage").into()
    }

    #[test]
    fn usage_with_and_without_details() {
        let full = decode(
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,
               "output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}"#,
        );
        let expect = TokenUsage {
            input_tokens: 10,
            cached_input_tokens: 4,
            output_tokens: 5,
            reasoning_output_tokens: 2,
            total_tokens: 15,
        };
        assert_eq!(full, expect);
        let bare = decode(r#"{"input_tokens":10,"input_tokens_details":null,"output_tokens":-5}"#);
        assert_eq!(bare, TokenUsage { input_tokens: 10, total_tokens: 10, ..Default::default() });
    }

    #[test]
    fn sums_and_the_last_response() {
        let mut info = TokenUsageInfo::default();
        info.add(TokenUsage::of_total(10), Some(100));
        info.add(TokenUsage::of_total(32), Some(200));
        assert_eq!(info.total_token_usage.total_tokens, 42);
        assert_eq!(info.last_token_usage.total_tokens, 32);
        assert_eq!(info.model_context_window, Some(200));
        info.add(TokenUsage::of_total(i64::MAX), None);
        assert_eq!(info.total_token_usage.total_tokens, i64::MAX);
        assert_eq!(info.model_context_window, Some(200));
    }

    #[test]
    fn a_full_window_stays_full() {
        let mut info = TokenUsageInfo::default();
        info.add(TokenUsage::of_total(1_000_000), Some(258_400));
        info.fill_window(258_400);
        assert_eq!(info.last_token_usage, TokenUsage::of_total(258_400));
        assert_eq!(info.total_token_usage, TokenUsage::of_total(258_400));
        assert_eq!(usable_window(272_000, 95), 258_400);
    }

    #[test]
    fn estimates() {
        let secret = "x".repeat(4000);
        let reasoning = format!(r#"{{"type":"reasoning","encrypted_content":"{secret}"}}"#);
        let message = r#"{"type":"message","role":"user","content":[]}"#;
        let ghost = r#"{"type":"ghost_snapshot","ghost_commit":{}}"#;
        let total = estimate_prompt("12345", [reasoning.as_str(), message, ghost]);
        assert_eq!(total, 2 + 588 + 12);
        let twice = [reasoning.as_str(), message, reasoning.as_str()];
        assert_eq!(estimate_reasoning(twice), 1175);
    }
}
