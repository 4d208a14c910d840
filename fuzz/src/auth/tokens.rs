//! Pretended credentials. Each carries a mark that occurs nowhere else, so that a look at a log or
//! a file tells whether one of them leaked, and of which kind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use understudy_core::{FreshTokens, Secret};

use super::setting::{OTHER_WORKSPACE, WORKSPACE};

/// In every token that a host hands in.
pub const EXTERNAL_MARK: &str = "xtok";
/// In every token of a login of the server's own.
pub const MANAGED_MARK: &str = "mtok";
/// In every secret of a login with a device code.
pub const DEVICE_MARK: &str = "dtok";
/// In every credential of any kind.
pub const MARKS: [&str; 5] = [EXTERNAL_MARK, "skey", MANAGED_MARK, "pkey", DEVICE_MARK];

/// How somebody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Not at all.
    None,
    /// With an API key.
    Key,
    /// With a login of the server's own.
    Managed,
    /// With the host's tokens.
    External,
}

impl Kind {
    /// The mode's name on the wire.
    pub fn wire(self) -> Option<&'static str> {
        match self {
            Kind::None => None,
            Kind::Key => Some("apikey"),
            Kind::Managed => Some("chatgpt"),
            Kind::External => Some("chatgptAuthTokens"),
        }
    }
}

/// A login, as far as anybody can tell it from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// How.
    pub kind: Kind,
    /// The bearer.
    pub token: String,
    /// The workspace.
    pub account: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// The user's plan.
    pub plan: Option<&'static str>,
    /// What only a login of the server's own has.
    pub own: Option<Own>,
}

/// What only a login of the server's own has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Buys new tokens, once.
    pub refresh: String,
    /// The workspace by the id token, which the record's own may differ from.
    pub claimed: Option<String>,
    /// When the tokens were issued.
    pub issued: Timestamp,
    /// When the access token runs out, in seconds of the wall's clock, if it says so.
    pub expiry: Option<i64>,
    /// The access token that lay in the store when these could not be saved.
    pub outdated: Option<String>,
}

impl Login {
    /// Nobody.
    pub fn none() -> Self {
        Self {
            kind: Kind::None,
            token: String::new(),
            account: None,
            email: None,
            plan: None,
            own: None,
        }
    }

    /// An API key's.
    pub fn key(key: &str) -> Self {
        Self { kind: Kind::Key, token: key.to_owned(), ..Self::none() }
    }

    /// A login of the server's own: the `n`th, in this workspace, issued then.
    pub fn managed(n: usize, workspace: &str, issued: Timestamp) -> Self {
        let own = Own {
            refresh: format!("mtok{n}-refresh"),
            claimed: Some(workspace.to_owned()),
            issued,
            expiry: None,
            outdated: None,
        };
        Self {
            kind: Kind::Managed,
            token: format!("mtok{n}-access"),
            account: Some(workspace.to_owned()),
            email: Some(format!("managed-{n}@example.com")),
            plan: Some("pro"),
            own: Some(own),
        }
    }

    /// The same as what it is when it could not be saved in place of an older one.
    #[must_use]
    pub fn unsaved_after(&self, older: &Login) -> Self {
        let mut login = self.clone();
        let left = older.own.as_ref().and_then(|own| own.outdated.clone());
        if let Some(own) = &mut login.own {
            own.outdated = left.or_else(|| Some(older.token.clone()));
        }
        login
    }

    /// Whether its tokens are old: by their own expiry, else by their age (auth.md §7.2, §14.2).
    pub fn is_old(&self, now: Timestamp) -> bool {
        let Some(own) = &self.own else { return false };
        match own.expiry {
            Some(expiry) => expiry <= now.as_second(),
            None => now.duration_since(own.issued) > FRESH,
        }
    }

    /// The record of it, as another server of this kind writes it.
    pub fn record(&self, mode: &str) -> String {
        let claimed = self.own.as_ref().and_then(|own| own.claimed.as_deref());
        let id_token = jwt(&claims(self.email.as_deref(), self.plan, claimed), "mtok-signature");
        let refresh = self.own.as_ref().map_or("", |own| own.refresh.as_str());
        let issued = self.own.as_ref().map(|own| own.issued.to_string());
        let (access, account) = (&self.token, self.account.as_deref().unwrap_or_default());
        format!(
            r#"{{"auth_mode":"{mode}","OPENAI_API_KEY":null,"tokens":{{"id_token":"{id_token}","access_token":"{access}","refresh_token":"{refresh}","account_id":"{account}"}},"last_refresh":"{}"}}"#,
            issued.unwrap_or_default()
        )
    }
}

/// Age at which tokens without an expiry are old.
const FRESH: SignedDuration = SignedDuration::from_hours(8 * 24);

/// In which form the host hands tokens in (auth.md §14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// With `idToken`.
    Old,
    /// With `chatgptAccountId`; the access token holds the claims.
    New,
    /// With both.
    Both,
}

/// Which workspace they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// The one that may be forced.
    Right,
    /// Another one.
    Wrong,
    /// None is named; the newer shape always names one, then it is the right one.
    Unnamed,
}

/// What is odd about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing.
    None,
    /// The token with the claims is no JWT.
    NoJwt,
    /// A claim has the wrong type.
    BadClaim,
    /// There is no address in the claims.
    NoEmail,
    /// There is no plan in the claims.
    NoPlan,
    /// The plan is another one than usual.
    OtherPlan,
    /// In the older shape, the access token is empty.
    EmptyAccess,
}

/// What tokens to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their form.
    pub shape: Shape,
    /// Their workspace.
    pub account: Account,
    /// What is odd about them.
    pub oddity: Oddity,
}

impl Wanted {
    /// Good tokens of the older shape, in the right workspace.
    pub const GOOD: Self =
        Self { shape: Shape::Old, account: Account::Right, oddity: Oddity::None };
}

/// Tokens that a host may hand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    access: String,
    id_token: Option<String>,
    account_field: Option<&'static str>,
    /// In which form.
    pub shape: Shape,
    /// The login that they make; none if they do not parse.
    pub login: Option<Login>,
}

impl Tokens {
    /// Makes the `n`th tokens.
    pub fn make(n: usize, wanted: Wanted) -> Self {
        let Wanted { shape, oddity, .. } = wanted;
        let account = match (wanted.account, shape) {
            (Account::Right, _) | (Account::Unnamed, Shape::New | Shape::Both) => Some(WORKSPACE),
            (Account::Wrong, _) => Some(OTHER_WORKSPACE),
            (Account::Unnamed, Shape::Old) => None,
        };
        let email = (oddity != Oddity::NoEmail).then(|| format!("user-{n}@example.com"));
        let plan = match oddity {
            Oddity::NoPlan => None,
            Oddity::OtherPlan => Some("team"),
            _ => Some("pro"),
        };
        // In the newer shapes the field counts: the claim names the other workspace.
        let claimed = match (shape, account) {
            (Shape::Old, account) => account,
            (_, Some(WORKSPACE)) => Some(OTHER_WORKSPACE),
            _ => Some(WORKSPACE),
        };
        let claims = match oddity {
            Oddity::BadClaim => r#"{"email":5}"#.to_owned(),
            _ => claims(email.as_deref(), plan, claimed),
        };
        let parsed = match oddity {
            Oddity::NoJwt => format!("xtok{n}-is-no-jwt"),
            _ => jwt(&claims, &format!("xtok{n}-signature")),
        };
        let opaque = match oddity {
            Oddity::EmptyAccess => String::new(),
            _ => format!("xtok{n}-access"),
        };
        let (access, id_token) = match shape {
            Shape::New => (parsed, None),
            Shape::Old | Shape::Both => (opaque, Some(parsed)),
        };
        let parses = !matches!(oddity, Oddity::NoJwt | Oddity::BadClaim);
        let login = parses.then(|| Login {
            kind: Kind::External,
            token: access.clone(),
            account: account.map(str::to_owned),
            email,
            // Only the newer shapes promise a plan.
            plan: plan.or((shape != Shape::Old).then_some("unknown")),
            own: None,
        });
        let account_field = account.filter(|_| shape != Shape::Old);
        Self { access, id_token, account_field, shape, login }
    }

    /// Their members, as JSON without the braces.
    pub fn members(&self) -> String {
        let mut text = format!(r#""accessToken":"{}""#, self.access);
        if let Some(id_token) = &self.id_token {
            text.push_str(&format!(r#","idToken":"{id_token}""#));
        }
        if let Some(account) = self.account_field {
            text.push_str(&format!(r#","chatgptAccountId":"{account}","chatgptPlanType":null"#));
        }
        text
    }

    /// The same for a program that embeds the machine.
    pub fn fresh(&self) -> FreshTokens {
        FreshTokens {
            access_token: Secret::new(self.access.as_str()),
            id_token: self.id_token.as_deref().map(Secret::new),
            account_id: self.account_field.map(str::to_owned),
            plan_type: None,
        }
    }
}

/// The payload of a JWT.
pub fn claims(email: Option<&str>, plan: Option<&str>, account: Option<&str>) -> String {
    let mut auth = Vec::new();
    auth.extend(plan.map(|plan| format!(r#""chatgpt_plan_type":"{plan}""#)));
    auth.extend(account.map(|account| format!(r#""chatgpt_account_id":"{account}""#)));
    let email = email.map(|email| format!(r#""email":"{email}","#)).unwrap_or_default();
    format!(r#"{{{email}"https://api.openai.com/auth":{{{}}}}}"#, auth.join(","))
}

/// A JWT that nobody signed.
pub fn jwt(claims: &str, signature: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
}
