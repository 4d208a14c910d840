//! Which credential goes with a model call (auth.md §10.1, §13.3).

use super::credential::{Credential, Generation};
use crate::config::Provider;
use crate::model::request;
use crate::secret::Secret;
use crate::setup::Environment;

/// What a provider says about its credentials.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProviderAuth<'a> {
    /// An environment variable that holds the key.
    pub(crate) env_key: Option<&'a str>,
    /// What to tell a user who has not set it.
    pub(crate) env_key_instructions: Option<&'a str>,
    /// A bearer token out of the configuration.
    pub(crate) bearer: Option<&'a Secret>,
    /// Whether the account's own tokens may be sent there: the provider asks for them, or it is one
    /// of the first party's hosts (auth.md §12 G12d).
    pub(crate) takes_account_tokens: bool,
}

impl<'a> ProviderAuth<'a> {
    /// What this provider says.
    pub(crate) fn of(provider: &'a Provider) -> Self {
        // Without a base URL the default one is meant, which is the first party's.
        let is_first_party = provider.base_url.as_deref().is_none_or(request::is_first_party);
        Self {
            env_key: provider.env_key.as_deref(),
            env_key_instructions: provider.env_key_instructions.as_deref(),
            bearer: provider.bearer.as_ref(),
            takes_account_tokens: provider.requires_openai_auth || is_first_party,
        }
    }
}

impl ProviderAuth<'_> {
    /// The account's own backend: nothing but the account's tokens will do.
    pub(crate) fn account_only() -> Self {
        Self { takes_account_tokens: true, ..Self::default() }
    }
}

/// The credential of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallCredential {
    /// The token, without `Bearer`.
    pub(crate) token: Option<Secret>,
    pub(crate) account_id: Option<String>,
    pub(crate) source: Source,
}

/// Whose credential it is; decides what a 401 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The provider's own: a login cannot mend it.
    Provider,
    /// The account's, as of this generation.
    Account(Generation),
    /// None was sent.
    Nobody,
}

/// Chooses by the table of auth.md §13.3. The error is the turn's message.
pub(crate) fn choose(
    provider: ProviderAuth<'_>,
    env: &Environment,
    credential: &Credential,
    generation: Generation,
) -> Result<CallCredential, String> {
    let own = |token: Secret| CallCredential {
        token: Some(token),
        account_id: None,
        source: Source::Provider,
    };
    if let Some(name) = provider.env_key {
        let Some(key) = env.filled(name) else {
            let help = provider.env_key_instructions.map(|text| format!(" {text}"));
            return Err(format!(
                "Missing environment variable: `{name}`.{}",
                help.unwrap_or_default()
            ));
        };
        return Ok(own(Secret::new(key)));
    }
    if let Some(token) = provider.bearer {
        return Ok(own(token.clone()));
    }
    if !provider.takes_account_tokens {
        let source = Source::Nobody;
        return Ok(CallCredential { token: None, account_id: None, source });
    }
    if *credential == Credential::None {
        // Whoever signs in before the answer comes is tried with (auth.md §13.2).
        let source = Source::Account(generation);
        return Ok(CallCredential { token: None, account_id: None, source });
    }
    let Some(token) = credential.bearer() else {
        return Err("Token data is not available.".to_owned());
    };
    let account_id = credential.account_id().map(str::to_owned);
    let source = Source::Account(generation);
    Ok(CallCredential { token: Some(token.clone()), account_id, source })
}

#[cfg(test)]
mod tests {
    use super::{CallCredential, ProviderAuth, Source, choose};
    use crate::auth::credential::{Credential, External, Generation};
    use crate::secret::Secret;
    use crate::setup::Environment;

    fn shown(provider: ProviderAuth<'_>, credential: &Credential) -> String {
        let env: Environment = [("KEY".to_owned(), "from-env".to_owned())].into_iter().collect();
        match choose(provider, &env, credential, Generation(3)) {
            Err(text) => text,
            Ok(CallCredential { token, account_id, source }) => {
                let token = token.map_or("-".to_owned(), |t| t.expose().to_owned());
                let whose = match source {
                    Source::Provider => "provider",
                    Source::Account(_) => "account",
                    Source::Nobody => "nobody",
                };
                format!("{token} {} {whose}", account_id.unwrap_or("-".to_owned()))
            }
        }
    }

    #[test]
    fn the_decision_table() {
        let external = Credential::External(External {
            access: Secret::new("ext"),
            account_id: Some("org".to_owned()),
            email: None,
            plan: None,
        });
        let key = Credential::ApiKey(Secret::new("sk"));
        let configured = Secret::new("cfg");
        let asks = ProviderAuth { takes_account_tokens: true, ..ProviderAuth::default() };
        let env = ProviderAuth { env_key: Some("KEY"), ..asks };
        let unset = ProviderAuth { env_key: Some("NO"), env_key_instructions: Some("Do."), ..asks };
        let bearer = ProviderAuth { bearer: Some(&configured), ..asks };
        let stranger = ProviderAuth::default();
        for (provider, credential, want) in [
            (env, &external, "from-env - provider"),
            (unset, &external, "Missing environment variable: `NO`. Do."),
            (bearer, &external, "cfg - provider"),
            (asks, &external, "ext org account"),
            (asks, &key, "sk - account"),
            (asks, &Credential::None, "- - account"),
            (stranger, &external, "- - nobody"),
            (stranger, &key, "- - nobody"),
        ] {
            assert_eq!(shown(provider, credential), want);
        }
    }
}
