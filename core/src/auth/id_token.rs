//! Claims out of a JWT, without checking its signature: the backend does that (auth.md §5).
//!
//! The texts of refusals reach hosts that match on them (auth.md §3.11 E5).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::plan;
use crate::wire::v2::account::PlanType;

/// What a token says of its user. Every part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) email: Option<String>,
    pub(crate) plan: Option<PlanType>,
    /// The account (workspace) the token is for.
    pub(crate) account_id: Option<String>,
}

#[derive(Deserialize)]
struct IdClaims {
    #[serde(default)]
    email: Option<String>,
    #[serde(default, rename = "https://api.openai.com/profile")]
    profile: Option<ProfileClaims>,
    #[serde(default, rename = "https://api.openai.com/auth")]
    auth: Option<AuthClaims>,
}

#[derive(Deserialize)]
struct ProfileClaims {
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
struct AuthClaims {
    #[serde(default)]
    chatgpt_plan_type: Option<String>,
    #[serde(default)]
    chatgpt_account_id: Option<String>,
}

impl Claims {
    /// Reads the claims of a JWT. The error text never holds any of the token.
    pub(crate) fn parse(jwt: &str) -> Result<Self, String> {
        let mut segments = jwt.split('.');
        let filled = |segment: Option<&str>| segment.is_some_and(|s| !s.is_empty());
        let (header, payload) = (segments.next(), segments.next());
        let signature = segments.next();
        let Some(payload) = payload.filter(|_| filled(header) && filled(payload)) else {
            return Err("invalid ID token format".to_owned());
        };
        if !filled(signature) {
            return Err("invalid ID token format".to_owned());
        }
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|err| err.to_string())?;
        let claims: IdClaims = serde_json::from_slice(&json).map_err(|err| decoder_text(&err))?;
        let profile_email = claims.profile.and_then(|profile| profile.email);
        let auth = claims.auth;
        let (plan, account_id) = match auth {
            Some(auth) => (auth.chatgpt_plan_type, auth.chatgpt_account_id),
            None => (None, None),
        };
        Ok(Self {
            email: claims.email.or(profile_email),
            plan: plan.as_deref().map(plan::from_claim),
            account_id,
        })
    }
}

/// Whether two tokens are refused in the same words, or neither is.
pub(crate) fn reads_alike(one: &str, other: &str) -> bool {
    Claims::parse(one).err() == Claims::parse(other).err()
}

/// The decoder's text without the claim's own value, which may be private.
fn decoder_text(err: &serde_json::Error) -> String {
    if err.is_data() {
        return format!(
            "a claim has the wrong type at line {} column {}",
            err.line(),
            err.column()
        );
    }
    err.to_string()
}

#[cfg(test)]
pub(crate) fn unsigned_jwt(payload: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[cfg(test)]
mod tests {
    use super::{Claims, unsigned_jwt};

    /// `email plan account`, `-` for what is missing, or the refusal.
    fn shown(jwt: &str) -> String {
        match Claims::parse(jwt) {
            Err(text) => text,
            Ok(claims) => {
                let dash = || "-".to_owned();
                let plan = claims.plan.map_or_else(dash, |p| format!("{p:?}").to_lowercase());
                let account = claims.account_id.unwrap_or_else(dash);
                format!("{} {plan} {account}", claims.email.unwrap_or_else(dash))
            }
        }
    }

    #[test]
    fn vectors_of_the_specification() {
        let auth = r#""https://api.openai.com/auth""#;
        let profile = r#""https://api.openai.com/profile""#;
        let payloads = [
            ("{}".to_owned(), "- - -"),
            (
                format!(
                    r#"{{"email":"a@b",{auth}:{{"chatgpt_plan_type":"pro","chatgpt_account_id":"org-1"}}}}"#
                ),
                "a@b pro org-1",
            ),
            (format!(r#"{{{profile}:{{"email":"p@b"}}}}"#), "p@b - -"),
            (format!(r#"{{"email":"t@b",{profile}:{{"email":"p@b"}}}}"#), "t@b - -"),
            (format!(r#"{{{auth}:{{"chatgpt_plan_type":"mystery"}}}}"#), "- unknown -"),
            (
                format!(r#"{{{auth}:{{"chatgpt_plan_type":5}}}}"#),
                "a claim has the wrong type at line 1 column 53",
            ),
            (format!(r#"{{{auth}:null}}"#), "- - -"),
        ];
        for (payload, want) in &payloads {
            assert_eq!(shown(&unsigned_jwt(payload)), *want, "{payload}");
        }
        let tokens = [
            ("", "invalid ID token format"),
            ("x", "invalid ID token format"),
            ("a..c", "invalid ID token format"),
            ("a.b.c", "Invalid input length: 1"),
            ("a.e30=.c", "Invalid padding"),
            ("a.%.c", "Invalid symbol 37, offset 0."),
            ("a.e30.c", "- - -"),
            ("a.e30.c.d", "- - -"),
        ];
        for (token, want) in tokens {
            assert_eq!(shown(token), want, "{token}");
        }
    }
}
