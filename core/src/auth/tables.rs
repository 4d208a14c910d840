//! The rules of this room as Markdown tables, made by asking the rules, for `docs/rules.md`.

use std::fmt::Write;

use super::bearer::{CallCredential, ProviderAuth, Source, choose};
use super::credential::{Credential, External, Generation};
pub(crate) use super::rules::markdown as blocking;
use crate::secret::Secret;
use crate::setup::Environment;

/// What a call to a model sends: one row for each kind of provider and each kind of login.
pub(crate) fn calls() -> String {
    let env: Environment = [("SET".to_owned(), "x".to_owned())].into_iter().collect();
    let bearer = Secret::new("x");
    let asks = ProviderAuth { takes_account_tokens: true, ..ProviderAuth::default() };
    let providers = [
        ("names a key in the environment, set", ProviderAuth { env_key: Some("SET"), ..asks }),
        ("names a key in the environment, not set", ProviderAuth { env_key: Some("KEY"), ..asks }),
        ("has a bearer token of its own", ProviderAuth { bearer: Some(&bearer), ..asks }),
        ("asks for the account's tokens, or is the first party's", asks),
        ("any other", ProviderAuth::default()),
    ];
    let logins = [
        ("nobody", Credential::None),
        ("API key", Credential::ApiKey(Secret::new("x"))),
        ("host's tokens", external()),
    ];
    let mut out = String::from(
        "| provider | signed in with | credential sent | account header |\n\
         | --- | --- | --- | --- |\n",
    );
    for (provider, said) in providers {
        for (login, credential) in &logins {
            let sent = shown(choose(said, &env, credential, Generation::default()));
            writeln!(out, "| {provider} | {login} | {sent} |").expect("text can be written");
        }
    }
    out
}

fn external() -> Credential {
    Credential::External(External {
        access: Secret::new("x"),
        account_id: Some("org".to_owned()),
        email: None,
        plan: None,
    })
}

fn shown(chosen: Result<CallCredential, String>) -> String {
    match chosen {
        Err(text) => format!("none: the turn fails with {text:?} | –"),
        Ok(CallCredential { token, account_id, source }) => {
            let whose = match source {
                Source::Provider => "the provider's",
                Source::Account(_) if token.is_some() => "the account's",
                Source::Account(_) | Source::Nobody => "none",
            };
            format!("{whose} | {}", if account_id.is_some() { "yes" } else { "no" })
        }
    }
}
