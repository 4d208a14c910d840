//! The token authority: its addresses, what is sent there, and how its answers read
//! (auth.md §6.1–6.6, §7, §14.2, §15.3).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::id_token::Claims;
use crate::effect::{HeaderText, HttpRequest, Method};
use crate::limits;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::setup::Environment;

/// What the authority knows this program as.
const CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";
const ISSUER: &str = "https://auth.openai.com";
const SCOPE: &str = "openid profile email offline_access";

/// Where the authority is. Tests point it at loopback by the reference's environment variables.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    issuer: String,
    refresh_url: String,
    revoke_url: String,
}

/// Tokens as the authority gives them after a login.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Tokens {
    pub(super) id_token: Secret,
    pub(super) access_token: Secret,
    pub(super) refresh_token: Secret,
}

/// Tokens as it gives them after a refresh: only those that are new.
#[derive(Debug, Default, Deserialize)]
pub(super) struct FreshManaged {
    #[serde(default)]
    pub(super) id_token: Option<Secret>,
    #[serde(default)]
    pub(super) access_token: Option<Secret>,
    #[serde(default)]
    pub(super) refresh_token: Option<Secret>,
}

/// The secrets of one browser login.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Proof {
    pub(super) verifier: Secret,
    pub(super) state: Secret,
}

impl Proof {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            verifier: Secret::new(URL_SAFE_NO_PAD.encode(rng.bytes::<64>())),
            state: Secret::new(URL_SAFE_NO_PAD.encode(rng.bytes::<32>())),
        }
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose().as_bytes()))
    }
}

/// `http://localhost:PORT/auth/callback`
pub(super) fn redirect_uri(port: u16) -> String {
    format!("http://localhost:{port}/auth/callback")
}

impl Authority {
    pub(crate) fn new(env: &Environment) -> Self {
        let issuer = env.filled("CODEX_APP_SERVER_LOGIN_ISSUER").unwrap_or(ISSUER);
        let issuer = issuer.trim_end_matches('/').to_owned();
        let own = |name: &str, path: &str| match env.filled(name) {
            Some(url) => url.to_owned(),
            None => format!("{issuer}{path}"),
        };
        Self {
            refresh_url: own("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "/oauth/token"),
            revoke_url: own("CODEX_REVOKE_TOKEN_URL_OVERRIDE", "/oauth/revoke"),
            issuer,
        }
    }

    /// Where the browser goes, with every parameter in the reference's order (auth.md §6.3).
    pub(super) fn authorize_url(
        &self,
        proof: &Proof,
        port: u16,
        originator: &str,
        workspace: Option<&str>,
    ) -> String {
        let challenge = proof.challenge();
        let redirect = redirect_uri(port);
        let mut params = vec![
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", &redirect),
            ("scope", SCOPE),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("id_token_add_organizations", "true"),
            ("codex_cli_simplified_flow", "true"),
            ("state", proof.state.expose()),
            ("originator", originator),
        ];
        params.extend(workspace.map(|id| ("allowed_workspace_id", id)));
        format!("{}/oauth/authorize?{}", self.issuer, form(&params))
    }

    /// Exchanges the code of a login for tokens (auth.md §6.5 T1).
    pub(super) fn token_request(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &Secret,
    ) -> HttpRequest {
        let body = form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("client_id", CLIENT_ID),
            ("code_verifier", verifier.expose()),
        ]);
        let form = "application/x-www-form-urlencoded";
        post(format!("{}/oauth/token", self.issuer), form, body, limits::TOKEN_LIMIT)
    }

    /// Asks for an API key in the user's name; optional (auth.md §6.5 T2).
    pub(super) fn key_request(&self, id_token: &Secret) -> HttpRequest {
        let body = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", CLIENT_ID),
            ("requested_token", "openai-api-key"),
            ("subject_token", id_token.expose()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ]);
        let form = "application/x-www-form-urlencoded";
        post(format!("{}/oauth/token", self.issuer), form, body, limits::KEY_LIMIT)
    }

    /// Asks for fresh tokens (auth.md §7.1).
    pub(super) fn refresh_request(&self, refresh: &Secret) -> HttpRequest {
        let body = serde_json::json!({
            "client_id": CLIENT_ID,
            "grant_type": "refresh_token",
            "refresh_token": refresh.expose(),
            "scope": "openid profile email",
        });
        let json = "application/json";
        post(self.refresh_url.clone(), json, body.to_string(), limits::TOKEN_LIMIT)
    }

    /// Takes a token back at logout (auth.md §14.2).
    pub(super) fn revoke_request(&self, token: &Secret, hint: &str) -> HttpRequest {
        let mut body = serde_json::json!({ "token": token.expose(), "token_type_hint": hint });
        if hint == "refresh_token" {
            body["client_id"] = CLIENT_ID.into();
        }
        let json = "application/json";
        post(self.revoke_url.clone(), json, body.to_string(), limits::REVOKE_LIMIT)
    }

    /// Asks for a code that the user types elsewhere (auth.md §15.3).
    pub(super) fn user_code_request(&self) -> HttpRequest {
        let url = format!("{}/api/accounts/deviceauth/usercode", self.issuer);
        let body = serde_json::json!({ "client_id": CLIENT_ID }).to_string();
        post(url, "application/json", body, limits::TOKEN_LIMIT)
    }

    /// Asks whether the user has typed it.
    pub(super) fn device_poll_request(&self, device_id: &Secret, user_code: &str) -> HttpRequest {
        let url = format!("{}/api/accounts/deviceauth/token", self.issuer);
        let body = serde_json::json!({
            "device_auth_id": device_id.expose(),
            "user_code": user_code,
        });
        post(url, "application/json", body.to_string(), limits::TOKEN_LIMIT)
    }

    /// Where the user types the code.
    pub(super) fn verification_url(&self) -> String {
        format!("{}/codex/device", self.issuer)
    }

    /// What a device login names as its redirect when it exchanges its code.
    pub(super) fn device_redirect_uri(&self) -> String {
        format!("{}/deviceauth/callback", self.issuer)
    }
}

/// Asks whoever has the login port to let go of it, as every server of this kind does
/// (auth.md §6.2).
pub(super) fn oust_request(port: u16) -> HttpRequest {
    HttpRequest {
        method: Method::Get,
        url: format!("http://127.0.0.1:{port}/cancel"),
        headers: vec![("connection".to_owned(), HeaderText::Plain("close".to_owned()))],
        body: Vec::new(),
        head_limit: None,
        total_limit: Some(limits::LOGIN_PORT_CANCEL_LIMIT),
    }
}

fn post(url: String, content_type: &str, body: String, limit: Duration) -> HttpRequest {
    HttpRequest {
        method: Method::Post,
        url,
        headers: vec![("content-type".to_owned(), HeaderText::Plain(content_type.to_owned()))],
        body: vec![Arc::from(body)],
        head_limit: None,
        total_limit: Some(limit),
    }
}

/// `a=1&b=2`, percent-encoded with a space as `%20`.
fn form(params: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in params {
        if !out.is_empty() {
            out.push('&');
        }
        push_encoded(&mut out, name);
        out.push('=');
        push_encoded(&mut out, value);
    }
    out
}

/// The text as it stands in a form or a query.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    push_encoded(&mut out, text);
    out
}

fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            unreachable!("writing to a string cannot fail");
        }
    }
}

/// A target's path and its parameters; of a parameter given twice the last one counts.
pub(super) fn split_target(target: &str) -> (&str, impl Fn(&str) -> Option<String> + '_) {
    let target = target.split('#').next().unwrap_or(target);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let find = move |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .rfind(|(name, _)| decoded(name).as_deref() == Some(wanted))
            .and_then(|(_, value)| decoded(value))
    };
    (path, find)
}

/// Percent-decoded, with `+` for a space; none if it is no UTF-8 or an escape is broken.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |d: Option<u8>| d.and_then(|d| char::from(d).to_digit(16));
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What the authority says is wrong, in its own words if it has any, without echoing what was sent.
pub(super) fn error_words(body: &str) -> String {
    let detail = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|value| {
        let error = value.get("error");
        let text = error
            .and_then(|error| error.get("message"))
            .or_else(|| value.get("error_description"))
            .or(error)
            .or_else(|| value.get("message"))?;
        text.as_str().map(str::to_owned)
    });
    let words = detail.unwrap_or_else(|| {
        if body.trim().is_empty() { "Unknown error".to_owned() } else { body.to_owned() }
    });
    words.chars().take(limits::HOST_ERROR_CHARS_MAX).collect()
}

/// Why a refresh is refused for good, by the code in the body of a 401 (auth.md §7.4).
pub(super) fn permanent_refusal(body: &str) -> &'static str {
    let code = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|value| {
        let error = value.get("error");
        let code = error
            .and_then(|error| error.get("code"))
            .and_then(serde_json::Value::as_str)
            .or_else(|| error.and_then(serde_json::Value::as_str))
            .or_else(|| value.get("code").and_then(serde_json::Value::as_str))?;
        Some(code.to_ascii_lowercase())
    });
    match code.as_deref() {
        Some("refresh_token_expired") => {
            "Your access token could not be refreshed because your refresh token has expired. \
             Please log out and sign in again."
        }
        Some("refresh_token_reused") => {
            "Your access token could not be refreshed because your refresh token was already used. \
             Please log out and sign in again."
        }
        Some("refresh_token_invalidated") => {
            "Your access token could not be refreshed because your refresh token was revoked. \
             Please log out and sign in again."
        }
        _ => "Your access token could not be refreshed. Please log out and sign in again.",
    }
}

/// Why a login does not fit the forced workspace, if it does not (auth.md §6.6).
pub(super) fn workspace_fault(id_token: &Secret, forced: Option<&str>) -> Option<String> {
    let wanted = forced?;
    let claims = Claims::parse(id_token.expose()).unwrap_or_default();
    match claims.account_id.as_deref() {
        Some(got) if got == wanted => None,
        Some(_) => Some(format!("Login is restricted to workspace id {wanted}.")),
        None => Some(
            "Login is restricted to a specific workspace, but the token did not include an \
             chatgpt_account_id claim."
                .to_owned(),
        ),
    }
}

/// Why the authority sent the browser back without a code (auth.md §14.2).
pub(super) fn denied_words(error: &str, description: Option<&str>) -> String {
    if error == "access_denied"
        && description.is_some_and(|text| text.contains("missing_codex_entitlement"))
    {
        return "Codex is not enabled for your workspace. Contact your workspace administrator to \
                request access to Codex."
            .to_owned();
    }
    let words = description.filter(|text| !text.trim().is_empty()).unwrap_or(error);
    let words: String = words.chars().take(limits::HOST_ERROR_CHARS_MAX).collect();
    format!("Sign-in failed: {words}")
}

/// When a JWT runs out, if it says so.
pub(super) fn expiry(jwt: &Secret) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Exp {
        exp: Option<i64>,
    }
    let payload = jwt.expose().split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let exp = serde_json::from_slice::<Exp>(&json).ok()?.exp?;
    Timestamp::from_second(exp).ok()
}

#[cfg(test)]
mod tests {
    use super::{Authority, Proof, decoded, denied_words, error_words, split_target};
    use crate::rng::Rng;
    use crate::setup::Environment;

    #[test]
    fn the_authorize_url_has_every_parameter_in_order() {
        let mut rng = Rng::new([7; 32]);
        let proof = Proof::new(&mut rng);
        assert_eq!(proof.verifier.expose().len(), 86);
        assert_eq!(proof.state.expose().len(), 43);
        let authority = Authority::new(&Environment::default());
        let url = authority.authorize_url(&proof, 1455, "my host", Some("org-1"));
        let (start, query) = url.split_once('?').expect("a query");
        assert_eq!(start, "https://auth.openai.com/oauth/authorize");
        let names: Vec<&str> =
            query.split('&').filter_map(|p| p.split_once('=')).map(|(n, _)| n).collect();
        let want = [
            "response_type",
            "client_id",
            "redirect_uri",
            "scope",
            "code_challenge",
            "code_challenge_method",
            "id_token_add_organizations",
            "codex_cli_simplified_flow",
            "state",
            "originator",
            "allowed_workspace_id",
        ];
        assert_eq!(names, want);
        assert!(query.contains("redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback"));
        assert!(query.contains("originator=my%20host"));
    }

    #[test]
    fn targets() {
        let (path, find) = split_target("/auth/callback?code=a%20b&state=x&state=y+z#frag");
        assert_eq!(path, "/auth/callback");
        assert_eq!(find("code").as_deref(), Some("a b"));
        assert_eq!(find("state").as_deref(), Some("y z"));
        assert_eq!(find("none"), None);
        assert_eq!(decoded("%zz"), None);
        assert_eq!(decoded("%ff"), None);
    }

    #[test]
    fn words() {
        assert_eq!(error_words(r#"{"error":{"message":"no","code":"c"}}"#), "no");
        assert_eq!(error_words(r#"{"error":"bad","error_description":"why"}"#), "why");
        assert_eq!(error_words(r#"{"error":"bad"}"#), "bad");
        assert_eq!(error_words("plain"), "plain");
        assert_eq!(error_words(""), "Unknown error");
        assert_eq!(denied_words("access_denied", None), "Sign-in failed: access_denied");
        let entitlement = denied_words("access_denied", Some("missing_codex_entitlement"));
        assert!(entitlement.starts_with("Codex is not enabled"));
    }
}
