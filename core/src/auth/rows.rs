//! The rows of this room's tables, numbered for [`crate::reached`].

use super::bearer::ProviderAuth;
use super::credential::Credential;
use super::rules::{self, ForcedMethod, LoginKind};
use crate::reached::{Row, Table};
use crate::setup::Environment;

/// The row that decides about a login; the last one is that none fits.
pub(super) fn blocking_row(
    kind: LoginKind,
    external_active: bool,
    forced: Option<ForcedMethod>,
) -> Row {
    Row(Table::Blocking, rules::place(kind, external_active, forced))
}

/// The row that says what a call carries.
pub(super) fn call_row(
    provider: ProviderAuth<'_>,
    env: &Environment,
    credential: &Credential,
) -> Row {
    let provider = match provider {
        ProviderAuth { env_key: Some(name), .. } => usize::from(env.filled(name).is_none()),
        ProviderAuth { bearer: Some(_), .. } => 2,
        ProviderAuth { takes_account_tokens: true, .. } => 3,
        _ => 4,
    };
    let login = match credential {
        Credential::None => 0,
        Credential::ApiKey(_) => 1,
        Credential::Managed(_) => 2,
        Credential::External(_) => 3,
    };
    Row(Table::Credential, provider * 4 + login)
}

#[cfg(feature = "sim")]
mod names {
    pub(crate) fn blocking() -> Vec<String> {
        let mut rows = super::rules::row_names();
        rows.push("allowed".to_owned());
        rows
    }

    pub(crate) fn calls() -> Vec<String> {
        let providers = [
            "key in the environment",
            "key in the environment, not set",
            "bearer of its own",
            "takes the account's tokens",
            "any other",
        ];
        let logins = ["nobody", "API key", "server's tokens", "host's tokens"];
        let rows = providers.iter().flat_map(|p| logins.iter().map(move |l| format!("{p}, {l}")));
        rows.collect()
    }
}

#[cfg(feature = "sim")]
pub(crate) use names::{blocking, calls};
