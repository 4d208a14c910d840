//! Owns: pretended credentials. They look like ChatGPT tokens and open nothing.
//!
//! Every one of them carries one text that occurs nowhere else, so that a look at a log or a file
//! tells whether one of them leaked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const MARK: &str = "keep-me-out-of-logs";

/// Tokens of one user, as a host gets them from a sign-in of its own.
#[derive(Clone)]
pub struct Tokens {
    /// The bearer: opaque to the server in this shape (auth.md §8.1).
    pub access: String,
    /// An unsigned JWT with the claims that the server reads (auth.md §5).
    pub id: String,
}

impl Tokens {
    /// The `n`th tokens of a user, for an account (workspace).
    pub fn fake(n: u32, email: &str, account: &str) -> Self {
        let claims = json!({
            "email": email,
            "https://api.openai.com/auth": {
                "chatgpt_plan_type": "pro",
                "chatgpt_account_id": account,
            },
        });
        Self { access: opaque("access", n), id: jwt(&claims) }
    }

    /// What `account/login/start` takes (auth.md §8.1).
    pub fn login(&self) -> Value {
        json!({"type": "chatgptAuthTokens", "idToken": self.id, "accessToken": self.access})
    }

    /// What answers `account/chatgptAuthTokens/refresh` (auth.md §8.3).
    pub fn refreshed(&self) -> Value {
        json!({"idToken": self.id, "accessToken": self.access})
    }
}

/// The `n`th pretended credential of this kind: a code, a refresh token.
pub(super) fn opaque(kind: &str, n: u32) -> String {
    format!("{kind}-{n}-{MARK}")
}

/// An unsigned JWT with these claims.
pub(super) fn jwt(claims: &Value) -> String {
    let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
    format!("{}.{}.{}", part(HEAD), part(&claims.to_string()), part(MARK))
}

const HEAD: &str = r#"{"alg":"none","typ":"JWT"}"#;

/// A pretended API key.
pub fn api_key() -> String {
    format!("sk-fake-{MARK}")
}

/// Texts of which each credential of this file contains one, also when it was cut short.
pub fn traces() -> [String; 3] {
    [MARK.to_owned(), URL_SAFE_NO_PAD.encode(MARK), URL_SAFE_NO_PAD.encode(HEAD)]
}

/// The same text with every credential cut to what tells it from another: `access-1…`.
pub fn shortened(text: &str) -> String {
    let mut out = text.replace(&format!("-{MARK}"), "…");
    let head = URL_SAFE_NO_PAD.encode(HEAD);
    while let Some(at) = out.find(&head) {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = out[at..].find(|c| !is_token(c)).map_or(out.len(), |len| at + len);
        out.replace_range(at..end, "id token…");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortened_text_has_no_trace_left() {
        let tokens = Tokens::fake(1, "ada@example.com", "org-1");
        let text = format!("{} Bearer {} {}", tokens.login(), tokens.access, api_key());
        let short = shortened(&text);
        assert!(traces().iter().all(|trace| !short.contains(trace)), "{short}");
        assert!(short.contains("Bearer access-1… sk-fake…"), "{short}");
        assert!(short.contains(r#""idToken":"id token…""#), "{short}");
    }

    #[test]
    fn a_text_without_tokens_stays() {
        assert_eq!(shortened("eyJ is no token"), "eyJ is no token");
    }
}
