//! Owns: a pretended token authority: sign-in page, tokens that rotate, revocation, device codes,
//! and the account's usage (auth.md §6, §7, §14.2, §15.3).
//!
//! It keeps the rules of the real one: a code is good once and only with its verifier, a refresh
//! token is good once, an access token until it is called back. What it should do otherwise is
//! switched on by the test.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::backend::{Backend, locked};
use super::reply::{Gate, Reply};
use super::seen::Request;
use super::tokens;

/// What is asked of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// The user's browser comes to sign in.
    Authorize,
    /// A code is exchanged for tokens.
    Code,
    /// An id token is exchanged for an API key.
    Key,
    /// A refresh token is exchanged for new tokens.
    Refresh,
    /// A token is taken back.
    Revoke,
    /// A device asks for a code to show.
    UserCode,
    /// A device asks whether its code was typed.
    DeviceToken,
    /// The account's usage is read.
    Usage,
}

/// Tokens as the authority gave them.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The bearer.
    pub access: String,
    /// Good for one refresh.
    pub refresh: String,
    /// The user's claims.
    pub id: String,
}

/// Who signs in, and what the authority does otherwise than usual.
#[derive(Clone, Debug)]
pub struct Switches {
    /// The account (workspace) that new tokens are for.
    pub account: String,
    /// The user's address in new tokens.
    pub email: String,
    /// When set, access tokens are JWTs that run out so many seconds from now.
    pub expires_in: Option<i64>,
    /// The user says no, or may not: `error` and `error_description` of the return.
    pub denied: Option<(String, String)>,
    /// API keys are given out.
    pub gives_keys: bool,
    /// The user has typed the device's code.
    pub device_typed: bool,
}

/// The authority. Clones are the same one.
#[derive(Clone)]
pub struct Authority(Arc<Mutex<State>>);

struct State {
    switches: Switches,
    issued: u32,
    /// Codes that were not used yet, with their challenges; devices bring none.
    codes: BTreeMap<String, Option<String>>,
    good_refresh: BTreeSet<String>,
    good_access: BTreeSet<String>,
    revoked: Vec<String>,
    asked: BTreeMap<Ask, usize>,
    scripted: BTreeMap<Ask, VecDeque<Reply>>,
    gates: BTreeMap<Ask, VecDeque<Gate>>,
}

impl Default for Authority {
    fn default() -> Self {
        let switches = Switches {
            account: "org-1".to_owned(),
            email: "ada@example.com".to_owned(),
            expires_in: None,
            denied: None,
            gives_keys: true,
            device_typed: true,
        };
        Self(Arc::new(Mutex::new(State {
            switches,
            issued: 0,
            codes: BTreeMap::new(),
            good_refresh: BTreeSet::new(),
            good_access: BTreeSet::new(),
            revoked: Vec::new(),
            asked: BTreeMap::new(),
            scripted: BTreeMap::new(),
            gates: BTreeMap::new(),
        })))
    }
}

impl Authority {
    /// Serves the authority's pages on a backend.
    pub fn serve_on(&self, backend: &Backend) {
        for path in [
            "/oauth/authorize",
            "/oauth/token",
            "/oauth/revoke",
            "/api/accounts/deviceauth/usercode",
            "/api/accounts/deviceauth/token",
            "/usage",
        ] {
            let state = Arc::clone(&self.0);
            backend.handle(path, Box::new(move |request| locked(&state).answer(request)));
        }
    }

    /// A script for a model backend that takes only access tokens that are good.
    pub fn model(&self) -> impl FnMut(&Request) -> Reply + Send + use<> {
        let state = Arc::clone(&self.0);
        let mut said = 0;
        move |request| {
            if !locked(&state).good_access.contains(request.bearer()) {
                return Reply::error(401, "token expired");
            }
            said += 1;
            Reply::say(said, "fine")
        }
    }

    /// Tokens for a user who signed in before.
    pub fn issue(&self) -> Issued {
        locked(&self.0).issue()
    }

    /// Changes what the authority does from now on.
    pub fn switch(&self, change: impl FnOnce(&mut Switches)) {
        change(&mut locked(&self.0).switches);
    }

    /// Answers the next question of this kind so, without doing anything.
    pub fn next(&self, ask: Ask, reply: Reply) {
        locked(&self.0).scripted.entry(ask).or_default().push_back(reply);
    }

    /// Does what the next question of this kind asks for, but answers only when the gate is open.
    pub fn hold(&self, ask: Ask, gate: &Gate) {
        locked(&self.0).gates.entry(ask).or_default().push_back(gate.clone());
    }

    /// Calls back every access token that was given out.
    pub fn expire(&self) {
        locked(&self.0).good_access.clear();
    }

    /// How many questions of this kind came.
    pub fn asked(&self, ask: Ask) -> usize {
        locked(&self.0).asked.get(&ask).copied().unwrap_or(0)
    }

    /// Is this refresh token still to be used?
    pub fn is_good_refresh(&self, token: &str) -> bool {
        locked(&self.0).good_refresh.contains(token)
    }

    /// The tokens that were taken back.
    pub fn revoked(&self) -> Vec<String> {
        locked(&self.0).revoked.clone()
    }
}

/// The part of a form or query with this name, decoded.
pub fn field(form: &str, name: &str) -> Option<String> {
    let pair = form.split('&').filter_map(|pair| pair.split_once('='));
    pair.clone().find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |d: Option<u8>| d.and_then(|d| char::from(d).to_digit(16)).unwrap_or(0);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next()) * 16 + digit(rest.next())).unwrap_or(b'?'),
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        let Some(ask) = what(request) else { return Reply::error(400, "unsupported_grant_type") };
        *self.asked.entry(ask).or_default() += 1;
        if let Some(reply) = self.scripted.get_mut(&ask).and_then(VecDeque::pop_front) {
            return reply;
        }
        let reply = match ask {
            Ask::Authorize => self.authorize(request),
            Ask::Code => self.exchange(request),
            Ask::Key if self.switches.gives_keys => {
                Reply::json(200, json!({"access_token": tokens::api_key()}))
            }
            Ask::Key => Reply::error(403, "no organization"),
            Ask::Refresh => self.refresh(request),
            Ask::Revoke => {
                let token = text(request, "token");
                self.good_refresh.remove(&token);
                self.revoked.push(token);
                Reply::json(200, json!({}))
            }
            Ask::UserCode => {
                let id = tokens::opaque("device", 1);
                let code = "ABCD-1234";
                let body = json!({"device_auth_id": id, "user_code": code, "interval": "0"});
                Reply::json(200, body)
            }
            Ask::DeviceToken => self.device_token(),
            Ask::Usage => self.usage(request),
        };
        match self.gates.get_mut(&ask).and_then(VecDeque::pop_front) {
            Some(gate) => reply.behind(&gate),
            None => reply,
        }
    }

    /// Sends the browser back with a code, or with the reason why there is none.
    fn authorize(&mut self, request: &Request) -> Reply {
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let get = |name: &str| field(query, name).unwrap_or_default();
        let returned = match &self.switches.denied {
            Some((error, why)) => {
                format!("error={}&error_description={}", encoded(error), encoded(why))
            }
            None => {
                self.issued += 1;
                let code = tokens::opaque("code", self.issued);
                let returned = format!("code={}&scope=openid", encoded(&code));
                self.codes.insert(code, Some(get("code_challenge")));
                returned
            }
        };
        let target = format!("{}?{returned}&state={}", get("redirect_uri"), encoded(&get("state")));
        Reply::json(302, json!({})).header("location", &target)
    }

    fn exchange(&mut self, request: &Request) -> Reply {
        let get = |name: &str| field(&request.text, name).unwrap_or_default();
        let digest = Sha256::digest(get("code_verifier").as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(digest);
        match self.codes.remove(&get("code")) {
            Some(wanted) if wanted.as_ref().is_none_or(|wanted| *wanted == challenge) => {
                Reply::json(200, self.issue().to_json())
            }
            Some(_) => Reply::error(400, "the verifier does not fit"),
            None => Reply::error(400, "the code is not good"),
        }
    }

    fn refresh(&mut self, request: &Request) -> Reply {
        if !self.good_refresh.remove(&text(request, "refresh_token")) {
            let error = json!({"code": "refresh_token_reused", "message": "used before"});
            return Reply::json(401, json!({"error": error}));
        }
        Reply::json(200, self.issue().to_json())
    }

    fn device_token(&mut self) -> Reply {
        if !self.switches.device_typed {
            return Reply::error(403, "not yet");
        }
        self.issued += 1;
        let code = tokens::opaque("code", self.issued);
        self.codes.insert(code.clone(), None);
        let verifier = tokens::opaque("verifier", self.issued);
        let body = json!({
            "authorization_code": code, "code_verifier": verifier, "code_challenge": "unused",
        });
        Reply::json(200, body)
    }

    fn usage(&mut self, request: &Request) -> Reply {
        if !self.good_access.contains(request.bearer()) {
            return Reply::error(401, "token expired");
        }
        let window = json!({
            "used_percent": 42, "limit_window_seconds": 3600, "reset_at": 1_800_000_000,
        });
        Reply::json(200, json!({"plan_type": "pro", "rate_limit": {"primary_window": window}}))
    }

    fn issue(&mut self) -> Issued {
        self.issued += 1;
        let n = self.issued;
        let Switches { account, email, .. } = &self.switches;
        let access = match self.switches.expires_in {
            None => tokens::opaque("managed", n),
            Some(seconds) => tokens::jwt(&json!({"exp": now() + seconds, "jti": n})),
        };
        let refresh = tokens::opaque("refresh", n);
        let id = tokens::jwt(&json!({
            "email": email,
            "https://api.openai.com/auth": {
                "chatgpt_plan_type": "pro", "chatgpt_account_id": account,
            },
        }));
        self.good_access.insert(access.clone());
        self.good_refresh.insert(refresh.clone());
        Issued { access, refresh, id }
    }
}

impl Issued {
    fn to_json(&self) -> Value {
        json!({
            "access_token": self.access, "refresh_token": self.refresh, "id_token": self.id,
        })
    }

    /// The record of a login with these tokens, as it stands in `auth.json`.
    pub fn record(&self, account: &str, last_refresh: &str) -> Value {
        let mut tokens = self.to_json();
        tokens["account_id"] = account.into();
        json!({
            "auth_mode": "chatgpt", "OPENAI_API_KEY": null,
            "tokens": tokens, "last_refresh": last_refresh,
        })
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A member of a JSON body.
fn text(request: &Request, name: &str) -> String {
    let body = request.body.as_ref();
    body.and_then(|body| body[name].as_str()).unwrap_or_default().to_owned()
}

fn what(request: &Request) -> Option<Ask> {
    let path = request.bare_path();
    if path.ends_with("/oauth/token") {
        let form = field(&request.text, "grant_type");
        return match form.unwrap_or_else(|| text(request, "grant_type")).as_str() {
            "authorization_code" => Some(Ask::Code),
            "refresh_token" => Some(Ask::Refresh),
            grant if grant.ends_with(":token-exchange") => Some(Ask::Key),
            _ => None,
        };
    }
    let asks = [
        ("/oauth/authorize", Ask::Authorize),
        ("/oauth/revoke", Ask::Revoke),
        ("/usercode", Ask::UserCode),
        ("/deviceauth/token", Ask::DeviceToken),
        ("/usage", Ask::Usage),
    ];
    asks.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, ask)| ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, text: &str) -> Request {
        Request {
            method: "POST".into(),
            path: path.into(),
            headers: Vec::new(),
            body: serde_json::from_str(text).ok(),
            text: text.into(),
            at: std::time::Instant::now(),
        }
    }

    fn asked(authority: &Authority, path: &str, text: &str) -> u16 {
        locked(&authority.0).answer(&post(path, text)).status()
    }

    #[test]
    fn a_code_is_good_once_and_with_its_verifier_only() {
        let authority = Authority::default();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest("v"));
        let authorize = format!("/oauth/authorize?code_challenge={challenge}&redirect_uri=x");
        let grant = "grant_type=authorization_code";
        let code = |n| tokens::opaque("code", n);
        assert_eq!(asked(&authority, &authorize, ""), 302);
        let wrong = format!("{grant}&code={}&code_verifier=w", code(1));
        assert_eq!(asked(&authority, "/oauth/token", &wrong), 400);
        asked(&authority, &authorize, "");
        let right = format!("{grant}&code={}&code_verifier=v", code(2));
        assert_eq!(asked(&authority, "/oauth/token", &right), 200);
        assert_eq!(asked(&authority, "/oauth/token", &right), 400);
        assert_eq!(authority.asked(Ask::Code), 3);
    }

    #[test]
    fn a_refresh_token_is_good_once() {
        let authority = Authority::default();
        let issued = authority.issue();
        let body = json!({"grant_type": "refresh_token", "refresh_token": issued.refresh});
        assert_eq!(asked(&authority, "/oauth/token", &body.to_string()), 200);
        assert_eq!(asked(&authority, "/oauth/token", &body.to_string()), 401);
        assert!(!authority.is_good_refresh(&issued.refresh));
    }
}
