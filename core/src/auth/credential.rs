//! What the server may use to call the backend, and the number that tells one login from the next.

use std::time::Duration;

use jiff::Timestamp;

use super::id_token::Claims;
use super::plan;
use crate::input::FreshTokens;
use crate::secret::Secret;
use crate::wire::v2::account::{AuthMode, PlanType};

/// Counts every change of the credential. Each question about credentials carries the number it was
/// asked for; an answer to an older one changes nothing (auth.md §12 G2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(pub(crate) u64);

impl Generation {
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The credential in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Nobody is signed in.
    #[default]
    None,
    /// The user's own API key.
    ApiKey(Secret),
    /// Tokens of a login that the server made and keeps (`chatgpt`).
    Managed(Managed),
    /// Tokens that the host owns and hands in (`chatgptAuthTokens`). Never stored.
    External(External),
}

/// A login of the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Managed {
    pub(crate) id_token: Secret,
    pub(crate) access: Secret,
    pub(crate) refresh: Secret,
    pub(crate) account_id: Option<String>,
    pub(crate) claims: Claims,
    /// When the tokens were issued; tokens without it are not used (auth.md §4.3).
    pub(crate) last_refresh: Option<Timestamp>,
    /// The access token that lay in the store when these could not be saved: it is older than these,
    /// whatever the record's clock says.
    pub(crate) outdated: Option<Secret>,
}

/// Tokens of the host's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct External {
    pub(crate) access: Secret,
    pub(crate) account_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) plan: Option<PlanType>,
}

impl External {
    /// Takes tokens in either shape that hosts send (auth.md §14.1). The error is the text after
    /// `invalid id token: `.
    pub(crate) fn accept(tokens: FreshTokens) -> Result<Self, String> {
        let claims = match &tokens.id_token {
            Some(id_token) => Claims::parse(id_token.expose())?,
            None => Claims::parse(tokens.access_token.expose())?,
        };
        let named = tokens.plan_type.as_deref().map(plan::from_host);
        let is_new_shape = tokens.id_token.is_none() || tokens.account_id.is_some();
        Ok(Self {
            access: tokens.access_token,
            account_id: tokens.account_id.or(claims.account_id),
            email: claims.email,
            // Only the newer shape promises a plan (auth.md §14.1).
            plan: named.or(claims.plan).or(is_new_shape.then_some(PlanType::Unknown)),
        })
    }
}

impl Credential {
    pub(crate) fn mode(&self) -> Option<AuthMode> {
        match self {
            Credential::None => None,
            Credential::ApiKey(_) => Some(AuthMode::ApiKey),
            Credential::Managed(_) => Some(AuthMode::Chatgpt),
            Credential::External(_) => Some(AuthMode::ChatgptAuthTokens),
        }
    }

    /// The token for the `Authorization` header, where there is one to use (auth.md §4.3).
    pub(crate) fn bearer(&self) -> Option<&Secret> {
        match self {
            Credential::None => None,
            Credential::ApiKey(key) => Some(key),
            Credential::Managed(managed) => managed.last_refresh.map(|_| &managed.access),
            Credential::External(external) => Some(&external.access),
        }
    }

    pub(crate) fn account_id(&self) -> Option<&str> {
        match self {
            Credential::None | Credential::ApiKey(_) => None,
            Credential::Managed(managed) => managed.account_id.as_deref(),
            Credential::External(external) => external.account_id.as_deref(),
        }
    }

    pub(crate) fn email(&self) -> Option<&str> {
        match self {
            Credential::None | Credential::ApiKey(_) => None,
            Credential::Managed(managed) => managed.claims.email.as_deref(),
            Credential::External(external) => external.email.as_deref(),
        }
    }

    pub(crate) fn plan(&self) -> Option<PlanType> {
        match self {
            Credential::None | Credential::ApiKey(_) => None,
            Credential::Managed(managed) => managed.claims.plan,
            Credential::External(external) => external.plan,
        }
    }

    pub(crate) fn is_external(&self) -> bool {
        matches!(self, Credential::External(_))
    }
}

/// A time limit as the reference writes it: `10s`.
pub(crate) fn limit_text(limit: Duration) -> String {
    format!("{limit:?}")
}
