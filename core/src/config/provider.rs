//! Model providers: where requests go, and with which headers (config.md §3.3, engine.md §1.13).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::kinds::WireApi;
use crate::limits;
use crate::model::headers::ProviderFacts;
use crate::secret::Secret;
use crate::setup::Environment;

/// The provider that is used when none is named.
pub const DEFAULT_PROVIDER: &str = "openai";

/// A service that runs models. `Debug` shows no keys and no values of headers or parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// The name shown to people.
    pub name: String,
    /// Where its API is; without one it depends on how the user is logged in.
    pub base_url: Option<String>,
    /// The variable that holds the key.
    pub env_key: Option<String>,
    /// What to tell a user who has not set that variable.
    pub env_key_instructions: Option<String>,
    /// A bearer token, written into the configuration.
    pub bearer: Option<Secret>,
    /// The protocol it speaks.
    pub wire_api: WireApi,
    /// Parameters added to every URL.
    pub query_params: BTreeMap<String, String>,
    /// Headers added to every request.
    pub http_headers: BTreeMap<String, Secret>,
    /// Headers added to every request, with the variables that hold their values.
    pub env_http_headers: BTreeMap<String, String>,
    /// How often a request is repeated, at most [`limits::RETRIES_MAX`].
    pub request_max_retries: u32,
    /// How often a stream that broke is begun again, at most [`limits::RETRIES_MAX`].
    pub stream_max_retries: u32,
    /// How long a stream may be silent.
    pub stream_idle_timeout: Duration,
    /// Whether it takes the user's account.
    pub requires_openai_auth: bool,
}

/// A provider speaks a protocol that this server does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Model provider `{provider}` uses wire_api = \"chat\", which is not supported. \
     Set wire_api = \"responses\" in its configuration."
)]
pub struct UnsupportedWire {
    /// The provider's id.
    pub provider: String,
}

impl Provider {
    /// Whether requests can be sent to it; asked when a provider is used, so that one that is only
    /// listed does no harm. `id` is the provider's key in the configuration.
    pub fn check_wire(&self, id: &str) -> Result<(), UnsupportedWire> {
        match self.wire_api {
            WireApi::Responses => Ok(()),
            WireApi::Chat => Err(UnsupportedWire {
                provider: id.to_owned(),
            }),
        }
    }

    /// What a request needs to know of it. `id` is its key in the configuration.
    pub(crate) fn facts<'a>(&'a self, id: &'a str) -> ProviderFacts<'a> {
        ProviderFacts {
            id,
            name: &self.name,
            base_url: self.base_url.as_deref(),
            query_params: &self.query_params,
            http_headers: &self.http_headers,
            env_http_headers: &self.env_http_headers,
        }
    }

    /// A provider of which nothing but the name is known.
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            base_url: None,
            env_key: None,
            env_key_instructions: None,
            bearer: None,
            wire_api: WireApi::Responses,
            query_params: BTreeMap::new(),
            http_headers: BTreeMap::new(),
            env_http_headers: BTreeMap::new(),
            request_max_retries: 4,
            stream_max_retries: 5,
            stream_idle_timeout: Duration::from_secs(300),
            requires_openai_auth: false,
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("env_key", &self.env_key)
            .field("bearer", &self.bearer)
            .field("wire_api", &self.wire_api)
            .field(
                "query_params",
                &self.query_params.keys().collect::<Vec<_>>(),
            )
            .field("http_headers", &self.http_headers)
            .field("env_http_headers", &self.env_http_headers)
            .field("requires_openai_auth", &self.requires_openai_auth)
            .finish_non_exhaustive()
    }
}

/// `[model_providers.<id>]` as it stands in a file.
#[derive(Clone, Deserialize)]
pub(super) struct ProviderDocument {
    name: String,
    base_url: Option<String>,
    env_key: Option<String>,
    env_key_instructions: Option<String>,
    experimental_bearer_token: Option<String>,
    wire_api: Option<WireApi>,
    query_params: Option<BTreeMap<String, String>>,
    http_headers: Option<BTreeMap<String, String>>,
    env_http_headers: Option<BTreeMap<String, String>>,
    request_max_retries: Option<u64>,
    stream_max_retries: Option<u64>,
    stream_idle_timeout_ms: Option<u64>,
    requires_openai_auth: Option<bool>,
}

impl From<ProviderDocument> for Provider {
    fn from(doc: ProviderDocument) -> Self {
        let cap = |n: u64| {
            u32::try_from(n)
                .unwrap_or(u32::MAX)
                .min(limits::RETRIES_MAX)
        };
        let base = Provider::named(&doc.name);
        let headers = doc.http_headers.unwrap_or_default();
        Self {
            base_url: doc.base_url,
            env_key: doc.env_key,
            env_key_instructions: doc.env_key_instructions,
            bearer: doc.experimental_bearer_token.map(Secret::new),
            // Only those who ask for it get the protocol that is not spoken.
            wire_api: doc.wire_api.unwrap_or(WireApi::Responses),
            query_params: doc.query_params.unwrap_or_default(),
            http_headers: headers
                .into_iter()
                .map(|(k, v)| (k, Secret::new(v)))
                .collect(),
            env_http_headers: doc.env_http_headers.unwrap_or_default(),
            request_max_retries: doc
                .request_max_retries
                .map_or(base.request_max_retries, cap),
            stream_max_retries: doc.stream_max_retries.map_or(base.stream_max_retries, cap),
            stream_idle_timeout: doc
                .stream_idle_timeout_ms
                .map_or(base.stream_idle_timeout, Duration::from_millis),
            requires_openai_auth: doc.requires_openai_auth.unwrap_or(false),
            ..base
        }
    }
}

/// Every provider by id: the built-in ones, which no file can redefine, and the configured ones.
pub(super) fn providers(
    configured: BTreeMap<String, ProviderDocument>,
    env: &Environment,
) -> BTreeMap<String, Arc<Provider>> {
    let mut all: BTreeMap<String, Arc<Provider>> = configured
        .into_iter()
        .map(|(id, doc)| (id, Arc::new(doc.into())))
        .collect();
    for (id, provider) in built_in(env) {
        all.insert(id.to_owned(), Arc::new(provider));
    }
    all
}

/// The provider that is always there.
pub(super) fn openai(env: &Environment) -> Provider {
    Provider {
        base_url: env.filled("OPENAI_BASE_URL").map(str::to_owned),
        env_http_headers: [
            ("OpenAI-Organization", "OPENAI_ORGANIZATION"),
            ("OpenAI-Project", "OPENAI_PROJECT"),
        ]
        .map(|(header, var)| (header.to_owned(), var.to_owned()))
        .into(),
        requires_openai_auth: true,
        ..Provider::named("OpenAI")
    }
}

fn built_in(env: &Environment) -> [(&'static str, Provider); 4] {
    let local = |port: u16, wire_api| Provider {
        base_url: Some(local_url(env, port)),
        wire_api,
        ..Provider::named("gpt-oss")
    };
    [
        (DEFAULT_PROVIDER, openai(env)),
        ("ollama", local(11434, WireApi::Responses)),
        ("ollama-chat", local(11434, WireApi::Chat)),
        ("lmstudio", local(1234, WireApi::Responses)),
    ]
}

/// Where a provider on this machine listens (config.md §1.6).
fn local_url(env: &Environment, port: u16) -> String {
    let port = env
        .filled("CODEX_OSS_PORT")
        .and_then(|p| p.trim().parse().ok())
        .unwrap_or(port);
    match env.filled("CODEX_OSS_BASE_URL") {
        Some(url) => url.to_owned(),
        None => format!("http://localhost:{port}/v1"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Provider, ProviderDocument, providers};
    use crate::config::kinds::WireApi;
    use crate::setup::Environment;

    fn configured(text: &str) -> BTreeMap<String, ProviderDocument> {
        toml::from_str(text).expect("providers")
    }

    #[test]
    fn built_in_providers_follow_the_environment() {
        let bare = providers(BTreeMap::new(), &Environment::default());
        let url = |all: &BTreeMap<_, std::sync::Arc<Provider>>, id: &str| {
            all.get(id).and_then(|p| p.base_url.clone())
        };
        assert_eq!(
            bare.keys().collect::<Vec<_>>(),
            ["lmstudio", "ollama", "ollama-chat", "openai"]
        );
        assert_eq!(url(&bare, "openai"), None);
        assert_eq!(
            url(&bare, "ollama").as_deref(),
            Some("http://localhost:11434/v1")
        );
        assert_eq!(
            url(&bare, "lmstudio").as_deref(),
            Some("http://localhost:1234/v1")
        );

        let vars = [("OPENAI_BASE_URL", "http://x/v1"), ("CODEX_OSS_PORT", "99")];
        let env = vars
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect();
        let set = providers(BTreeMap::new(), &env);
        assert_eq!(url(&set, "openai").as_deref(), Some("http://x/v1"));
        assert_eq!(
            url(&set, "ollama").as_deref(),
            Some("http://localhost:99/v1")
        );
        assert!(set.get("openai").is_some_and(|p| p.requires_openai_auth));
    }

    #[test]
    fn files_cannot_redefine_a_built_in_provider() {
        let all = providers(
            configured("[openai]\nname = 'evil'\nbase_url = 'http://evil'"),
            &Environment::default(),
        );
        assert_eq!(all.get("openai").map(|p| p.name.as_str()), Some("OpenAI"));
    }

    #[test]
    fn retries_are_capped_and_chat_fails_only_when_used() {
        let text =
            "[a]\nname = 'A'\nrequest_max_retries = 5000\nwire_api = 'chat'\n[b]\nname = 'B'";
        let all = providers(configured(text), &Environment::default());
        let a = all.get("a").expect("listed");
        assert_eq!((a.request_max_retries, a.stream_max_retries), (100, 5));
        let refused = a.check_wire("a").map_err(|e| e.to_string());
        assert!(refused.is_err_and(|text| text.contains("`a`") && text.contains("responses")));
        let b = all.get("b").expect("listed");
        assert_eq!(
            (b.wire_api, b.check_wire("b")),
            (WireApi::Responses, Ok(()))
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = "[a]\nname = 'A'\nexperimental_bearer_token = 'sk-1'\n\
                    http_headers = {Authorization = 'sk-2'}\nquery_params = {key = 'sk-3'}";
        let shown = format!("{:?}", providers(configured(text), &Environment::default()));
        assert!(!shown.contains("sk-"), "{shown}");
    }
}
