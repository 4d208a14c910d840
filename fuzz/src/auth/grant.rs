//! What the token authority answers, as data (auth.md §6.5, §7, §14.2, §15.3).

use jiff::Timestamp;

use super::setting::{OTHER_WORKSPACE, WORKSPACE};
use super::tokens::{DEVICE_MARK, Login, Own, claims, jwt};
use crate::world::fact::Purpose;

/// What the authority is told to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// New tokens, for the right workspace.
    Good,
    /// New tokens of a user with another plan.
    OtherPlan,
    /// New tokens for another workspace.
    Elsewhere,
    /// New tokens that name no workspace.
    Unnamed,
    /// New tokens whose access token has run out already.
    Expired,
    /// A new access token and a new refresh token, and no id token.
    NoIdToken,
    /// New tokens whose id token does not parse.
    BadIdToken,
    /// An empty object.
    Nothing,
    /// No JSON.
    Malformed,
    /// 401 with the `n`th of [`REFUSALS`].
    Refused(usize),
    /// 400, as for a code that is spent.
    Invalid,
    /// 403, as for a device code that was not typed yet.
    Pending,
    /// 404, as of a server that knows nothing of device codes.
    Unheard,
    /// 500
    Broken,
}

/// Codes of a refusal for good, each with words of what is said of it (auth.md §7.4).
pub const REFUSALS: [(&str, &str); 4] = [
    ("refresh_token_expired", "refresh token has expired"),
    ("REFRESH_TOKEN_REUSED", "refresh token was already used"),
    ("refresh_token_invalidated", "refresh token was revoked"),
    ("something_else", "could not be refreshed. Please log out"),
];

/// An answer of the authority.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
    /// The tokens in it; none of a body that does not parse.
    pub tokens: Option<Fresh>,
    /// What it says of a device code, if that was asked for.
    pub device: Option<DeviceAnswer>,
    /// Words of a refusal for good.
    pub words: &'static str,
}

/// What the authority says of a device code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// There is one.
    Shown {
        /// The secret by which it is asked for later.
        id: String,
        /// What the user types.
        user: String,
        /// The pause between two questions, in seconds.
        pause: u64,
    },
    /// It was typed; the code that is exchanged for tokens.
    Typed(String),
}

/// Pauses between two questions whether a device code was typed: as the authority spells them, and in
/// seconds. None is shorter than a second, none longer than the login may take.
const INTERVALS: [(&str, u64); 5] = [
    (r#","interval":"5""#, 5),
    ("", 1),
    (r#","interval":"0""#, 1),
    (r#","interval":" 7 ""#, 7),
    (r#","interval":"18446744073709551615""#, 15 * 60),
];

/// Tokens in an answer: those that are new.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    access: Option<String>,
    refresh: Option<String>,
    /// The claims of the id token, if there is one; an error if it does not parse.
    id: Option<Result<Claimed, ()>>,
    expiry: Option<i64>,
}

#[derive(Clone, Debug)]
struct Claimed {
    email: String,
    plan: &'static str,
    account: Option<String>,
}

impl Issued {
    /// Makes the `n`th answer to a request for this.
    pub fn to(purpose: Purpose, n: usize, grant: Grant) -> Self {
        let is_plain = |grant| {
            matches!(
                grant,
                Grant::Nothing
                    | Grant::Malformed
                    | Grant::Refused(_)
                    | Grant::Invalid
                    | Grant::Pending
                    | Grant::Unheard
                    | Grant::Broken
            )
        };
        match purpose {
            Purpose::UserCode if !is_plain(grant) => Self::code(n),
            Purpose::Poll if !is_plain(grant) => Self::typed(n),
            _ => Self::make(n, grant),
        }
    }

    /// A code to be typed.
    fn code(n: usize) -> Self {
        let (interval, pause) = INTERVALS[n % INTERVALS.len()];
        let id = format!("{DEVICE_MARK}{n}-device");
        let name = if n.is_multiple_of(2) { "user_code" } else { "usercode" };
        let user = format!("user-{n}-code");
        let body = format!(r#"{{"device_auth_id":"{id}","{name}":"{user}"{interval}}}"#);
        let device = Some(DeviceAnswer::Shown { id, user, pause });
        Self { status: 200, body, tokens: None, device, words: "" }
    }

    /// The code was typed.
    fn typed(n: usize) -> Self {
        let code = format!("{DEVICE_MARK}{n}-code");
        let verifier = format!("{DEVICE_MARK}{n}-verifier");
        let body = format!(r#"{{"authorization_code":"{code}","code_verifier":"{verifier}"}}"#);
        let device = Some(DeviceAnswer::Typed(code));
        Self { status: 200, body, tokens: None, device, words: "" }
    }

    /// Makes the `n`th answer with tokens, or without.
    pub fn make(n: usize, grant: Grant) -> Self {
        let plain = |status: u16, body: &str| Self {
            status,
            body: body.to_owned(),
            tokens: None,
            device: None,
            words: "could not be refreshed. Please log out",
        };
        match grant {
            Grant::Nothing => Self { tokens: Some(Fresh::default()), ..plain(200, "{}") },
            Grant::Malformed => plain(200, "mtok-lost is no JSON"),
            Grant::Refused(which) => {
                let (code, words) = REFUSALS[which % REFUSALS.len()];
                let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
                Self { words, ..plain(401, &body) }
            }
            Grant::Invalid => plain(400, r#"{"error":"invalid_grant"}"#),
            Grant::Pending => plain(403, "{}"),
            Grant::Unheard => plain(404, "not here"),
            Grant::Broken => plain(500, "broken"),
            _ => Self::tokens(n, grant),
        }
    }

    /// An answer that nobody has made for the purpose: its body is an object without tokens, or an
    /// error.
    pub fn plain(status: u16) -> Self {
        let tokens = (200..300).contains(&status).then(Fresh::default);
        let words = "could not be refreshed. Please log out";
        Self { status, body: String::new(), tokens, device: None, words }
    }

    fn tokens(n: usize, grant: Grant) -> Self {
        let account = match grant {
            Grant::Elsewhere => Some(OTHER_WORKSPACE),
            Grant::Unnamed => None,
            _ => Some(WORKSPACE),
        };
        let plan = if grant == Grant::OtherPlan { "team" } else { "pro" };
        let email = format!("managed-{n}@example.com");
        let expiry = (grant == Grant::Expired).then_some(1_799_000_000);
        let access = match expiry {
            Some(expiry) => jwt(&format!(r#"{{"exp":{expiry}}}"#), &format!("mtok{n}-access")),
            None => format!("mtok{n}-access"),
        };
        let refresh = format!("mtok{n}-refresh");
        let mut body = format!(r#""access_token":"{access}","refresh_token":"{refresh}""#);
        let claims = claims(Some(&email), Some(plan), account);
        let id = match grant {
            Grant::NoIdToken => None,
            Grant::BadIdToken => {
                body.push_str(&format!(r#","id_token":"mtok{n}-no-jwt""#));
                Some(Err(()))
            }
            _ => {
                let id_token = jwt(&claims, &format!("mtok{n}-signature"));
                body.push_str(&format!(r#","id_token":"{id_token}""#));
                Some(Ok(Claimed { email, plan, account: account.map(str::to_owned) }))
            }
        };
        let tokens = Fresh { access: Some(access), refresh: Some(refresh), id, expiry };
        let body = format!("{{{body}}}");
        Self { status: 200, body, tokens: Some(tokens), device: None, words: "" }
    }

    /// Whether the status says that it was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Fresh {
    /// The access token in it.
    pub fn access(&self) -> Option<&str> {
        self.access.as_deref()
    }

    /// The login that they make; words of why there is none.
    pub fn login(&self, now: Timestamp, forced: bool) -> Result<Login, &'static str> {
        let (Some(access), Some(refresh), Some(id)) = (&self.access, &self.refresh, &self.id)
        else {
            return Err("the answer of the token endpoint does not parse");
        };
        if forced {
            match id.as_ref().ok().and_then(|id| id.account.as_deref()) {
                Some(WORKSPACE) => {}
                Some(_) => return Err("Login is restricted to workspace id org-a."),
                None => {
                    return Err("Login is restricted to a specific workspace, but the token did \
                                not include an chatgpt_account_id claim.");
                }
            }
        }
        let id = id.as_ref().map_err(|()| "Unable to persist auth file: ")?;
        Ok(Login {
            token: access.clone(),
            account: id.account.clone(),
            email: Some(id.email.clone()),
            plan: Some(id.plan),
            own: Some(Own {
                refresh: refresh.clone(),
                claimed: id.account.clone(),
                issued: now,
                expiry: self.expiry,
                outdated: None,
            }),
            ..Login::managed(0, "", now)
        })
    }

    /// An older login with these; words of why they do not go together.
    pub fn renewed(&self, old: &Login, now: Timestamp) -> Result<Login, &'static str> {
        let mut login = old.clone();
        let Some(own) = &mut login.own else { return Err("not a login of the server's own") };
        if let Some(id) = &self.id {
            let id = id.as_ref().map_err(|()| "Failed to refresh token: ")?;
            if id.account.is_some() && old.account.is_some() && id.account != old.account {
                return Err("the new tokens belong to another account");
            }
            own.claimed.clone_from(&id.account);
            login.email = Some(id.email.clone());
            login.plan = Some(id.plan);
        }
        if let Some(access) = &self.access {
            login.token.clone_from(access);
            own.expiry = self.expiry;
        }
        if let Some(refresh) = &self.refresh {
            own.refresh.clone_from(refresh);
        }
        own.issued = now;
        own.outdated = None;
        Ok(login)
    }
}
