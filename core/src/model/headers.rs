//! Owns: how a model request introduces itself (engine.md §1.12, auth.md §10): headers, originator
//! and user agent.
//! Invariant: a value that is no legal header value is never sent; tokens and all that a provider
//! is configured to send are [`Secret`].
//! Never: chooses the credential.

use std::collections::BTreeMap;

use crate::effect::HeaderText;
use crate::secret::Secret;
use crate::setup::{Environment, HostFacts};

/// The version of the protocol that is served. Clients read it out of the user agent and compare
/// it with the least that they need (clients.md no. 5).
pub(crate) const PROTOCOL_VERSION: &str = "0.94.0";

/// The originator of a client without a name.
const DEFAULT_ORIGINATOR: &str = "codex_cli_rs";

/// What a request needs to know of its provider (engine.md §1.13).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProviderFacts<'a> {
    /// Its key in the configuration; `openai` is the built-in one.
    pub(crate) id: &'a str,
    /// Its name for people.
    pub(crate) name: &'a str,
    /// Where it is; none leaves it to the login.
    pub(crate) base_url: Option<&'a str>,
    /// Parameters of every URL.
    pub(crate) query_params: &'a BTreeMap<String, String>,
    /// Headers of every request.
    pub(crate) http_headers: &'a BTreeMap<String, Secret>,
    /// Headers of every request, with the variables that hold their values.
    pub(crate) env_http_headers: &'a BTreeMap<String, String>,
}

/// In whose name a request is sent, and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountFacts<'a> {
    /// Who sends it; see [`originator`].
    pub(crate) originator: &'a str,
    /// See [`user_agent`].
    pub(crate) user_agent: &'a str,
    /// The bearer token, if there is any.
    pub(crate) bearer: Option<&'a Secret>,
    /// The account that the token belongs to; with a token of the user's ChatGPT login only.
    pub(crate) account_id: Option<&'a str>,
}

/// What a model request says of itself besides its provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    /// In whose name.
    pub(crate) account: AccountFacts<'a>,
    /// The thread.
    pub(crate) session_id: &'a str,
    /// `review`, `compact`, …, for threads that serve another one.
    pub(crate) subagent: Option<&'a str>,
    /// Experimental features that are on, in table order, joined by commas; may be empty.
    pub(crate) beta_features: &'a str,
    /// Whether the backend may search the web.
    pub(crate) web_search: bool,
    /// What the backend gave in this turn to be sent back.
    pub(crate) turn_state: Option<&'a str>,
}

/// The headers of a streaming request.
pub(crate) fn model_headers(
    provider: &ProviderFacts<'_>,
    request: &RequestFacts<'_>,
    env: &Environment,
) -> Vec<(String, HeaderText)> {
    let mut headers = Headers(provider_headers(provider, env));
    headers.set("accept", "text/event-stream");
    headers.set("content-type", "application/json");
    headers.set_account(&request.account);
    headers.set("session_id", request.session_id);
    if let Some(subagent) = request.subagent {
        headers.set("x-openai-subagent", subagent);
    }
    if !request.beta_features.is_empty() {
        headers.set("x-codex-beta-features", request.beta_features);
    }
    let eligible = if request.web_search { "true" } else { "false" };
    headers.set("x-oai-web-search-eligible", eligible);
    if let Some(state) = request.turn_state {
        headers.set("x-codex-turn-state", state);
    }
    headers.0
}

/// The headers of a plain request to the provider's host in the account's name.
pub(crate) fn account_headers(
    provider: &ProviderFacts<'_>,
    account: &AccountFacts<'_>,
    env: &Environment,
) -> Vec<(String, HeaderText)> {
    let mut headers = Headers(provider_headers(provider, env));
    headers.set_account(account);
    headers.0
}

/// The headers of a request that has the backend make a history short (engine.md §7.3).
pub(crate) fn compact_headers(
    provider: &ProviderFacts<'_>,
    account: &AccountFacts<'_>,
    env: &Environment,
) -> Vec<(String, HeaderText)> {
    let mut headers = Headers(account_headers(provider, account, env));
    headers.set("content-type", "application/json");
    headers.0
}

/// The headers of a request to the account's own backend (auth.md §10.5).
pub(crate) fn plain_account_headers(account: &AccountFacts<'_>) -> Vec<(String, HeaderText)> {
    let mut headers = Headers(Vec::new());
    headers.set_account(account);
    headers.0
}

/// The headers that come with the provider: those configured, and the built-in one's own.
pub(crate) fn provider_headers(
    provider: &ProviderFacts<'_>,
    env: &Environment,
) -> Vec<(String, HeaderText)> {
    let mut headers = Headers(Vec::new());
    if provider.id == "openai" {
        headers.set("version", PROTOCOL_VERSION);
        for (name, variable) in
            [("OpenAI-Organization", "OPENAI_ORGANIZATION"), ("OpenAI-Project", "OPENAI_PROJECT")]
        {
            if let Some(value) = env.filled(variable) {
                headers.set(name, value);
            }
        }
    }
    for (name, value) in provider.http_headers {
        headers.set_secret(name, value.clone());
    }
    for (name, variable) in provider.env_http_headers {
        if let Some(value) = env.filled(variable) {
            headers.set_secret(name, Secret::new(value));
        }
    }
    headers.0
}

/// Headers with one value a name; a later one replaces an earlier one.
struct Headers(Vec<(String, HeaderText)>);

impl Headers {
    fn set_account(&mut self, account: &AccountFacts<'_>) {
        if let Some(bearer) = account.bearer {
            self.set_secret("authorization", Secret::new(format!("Bearer {}", bearer.expose())));
        }
        if let Some(id) = account.account_id {
            self.set("chatgpt-account-id", id);
        }
        self.set("originator", account.originator);
        self.set("user-agent", account.user_agent);
    }

    fn set(&mut self, name: &str, value: &str) {
        self.put(name, HeaderText::Plain(value.to_owned()));
    }

    fn set_secret(&mut self, name: &str, value: Secret) {
        self.put(name, HeaderText::Secret(value));
    }

    fn put(&mut self, name: &str, value: HeaderText) {
        if !is_header_name(name) || !is_header_value(value.expose()) {
            tracing::debug!(name, "header left out: its name or value is not legal");
            return;
        }
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.0.push((name.to_owned(), value));
    }
}

/// Whether a text may be a header's value: no control characters but the tab. Letters beyond
/// ASCII are legal, and so is nothing at all (protocol.md §2).
pub(crate) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// Whether a text may be a header's name: a token of RFC 9110 §5.6.2.
pub(crate) fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Who this server speaks for: a word of the environment's, else the client's name, else a
/// default; the first of them that is a legal header value (auth.md §10.3).
pub(crate) fn originator<'a>(env: &'a Environment, client_name: Option<&'a str>) -> &'a str {
    [env.filled("CODEX_INTERNAL_ORIGINATOR_OVERRIDE"), client_name]
        .into_iter()
        .flatten()
        .find(|name| is_header_value(name))
        .unwrap_or(DEFAULT_ORIGINATOR)
}

/// `probe/0.94.0 (Debian 12.0.0; x86_64) xterm (probe; 1.2.3; understudy 0.1.0)`.
///
/// The version after the originator names the protocol; the server's own stands at the end
/// (clients.md no. 5). Anything but printable ASCII becomes `_`.
pub(crate) fn user_agent(
    originator: &str,
    host: &HostFacts,
    client: Option<(&str, &str)>,
) -> String {
    const SERVER: &str = concat!("understudy ", env!("CARGO_PKG_VERSION"));
    let HostFacts { os, os_version, arch, terminal, .. } = host;
    let start = format!("{originator}/{PROTOCOL_VERSION} ({os} {os_version}; {arch}) {terminal}");
    let whole = match client {
        Some((name, version)) => format!("{start} ({name}; {version}; {SERVER})"),
        None => format!("{start} ({SERVER})"),
    };
    if is_header_value(&whole) {
        return whole;
    }
    whole.chars().map(|c| if matches!(c, ' '..='~') { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Environment {
        vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn map<V>(pairs: &[(&str, &str)], make: impl Fn(&str) -> V) -> BTreeMap<String, V> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), make(value))).collect()
    }

    fn facts<'a>(bearer: Option<&'a Secret>) -> RequestFacts<'a> {
        RequestFacts {
            account: AccountFacts {
                originator: "probe",
                user_agent: "probe/0.94.0",
                bearer,
                account_id: Some("org-1"),
            },
            session_id: "thread",
            subagent: None,
            beta_features: "",
            web_search: false,
            turn_state: Some("bad\nstate"),
        }
    }

    fn value<'a>(headers: &'a [(String, HeaderText)], name: &str) -> Option<&'a str> {
        let mut found = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.expose());
        assert!(found.next().is_none(), "{name} twice");
        first
    }

    #[test]
    fn headers_of_a_request() {
        let (params, vars) = (BTreeMap::new(), map(&[("X-B", "B"), ("X-C", "C")], str::to_owned));
        let fixed = map(&[("X-A", "a"), ("Authorization", "own"), ("bad name", "x")], |text| {
            Secret::new(text)
        });
        let provider = ProviderFacts {
            id: "openai",
            name: "OpenAI",
            base_url: None,
            query_params: &params,
            http_headers: &fixed,
            env_http_headers: &vars,
        };
        let env = env(&[("B", "b"), ("C", " "), ("OPENAI_PROJECT", "p")]);
        let token = Secret::new("tok");
        let headers = model_headers(&provider, &facts(Some(&token)), &env);
        for (name, expect) in [
            ("accept", Some("text/event-stream")),
            ("content-type", Some("application/json")),
            ("authorization", Some("Bearer tok")),
            ("chatgpt-account-id", Some("org-1")),
            ("originator", Some("probe")),
            ("user-agent", Some("probe/0.94.0")),
            ("session_id", Some("thread")),
            ("x-oai-web-search-eligible", Some("false")),
            ("version", Some("0.94.0")),
            ("openai-project", Some("p")),
            ("openai-organization", None),
            ("x-a", Some("a")),
            ("x-b", Some("b")),
            ("x-c", None),
            ("bad name", None),
            ("x-codex-turn-state", None),
            ("x-codex-beta-features", None),
            ("x-openai-subagent", None),
        ] {
            assert_eq!(value(&headers, name), expect, "{name}");
        }
        let shown = format!("{headers:?}");
        assert!(!shown.contains("tok") && !shown.contains("\"a\"") && !shown.contains("\"b\""));
        let own = ProviderFacts { id: "mine", ..provider };
        let headers = model_headers(&own, &facts(None), &env);
        assert_eq!(value(&headers, "authorization"), Some("own"));
        assert_eq!(value(&headers, "version"), None);
        let broken = Secret::new("tok\nen");
        let headers = model_headers(&own, &facts(Some(&broken)), &env);
        assert_eq!(value(&headers, "authorization"), Some("own"));
    }

    #[test]
    fn user_agents() {
        let host = HostFacts {
            os: "Debian".to_owned(),
            os_version: "12.0.0".to_owned(),
            arch: "x86_64".to_owned(),
            terminal: "xterm".to_owned(),
            ..HostFacts::default()
        };
        let server = concat!("understudy ", env!("CARGO_PKG_VERSION"));
        let check = |client: Option<(&str, &str)>, expect: String| {
            let name = client.map_or("codex_cli_rs", |(name, _)| name);
            assert_eq!(user_agent(name, &host, client), expect);
        };
        let start = "0.94.0 (Debian 12.0.0; x86_64) xterm";
        check(Some(("probe", "1.2.3")), format!("probe/{start} (probe; 1.2.3; {server})"));
        check(Some(("ä", "1")), format!("ä/{start} (ä; 1; {server})"));
        check(Some(("ä", "1\n")), format!("_/{start} (_; 1_; {server})"));
        check(None, format!("codex_cli_rs/{start} ({server})"));
    }

    #[test]
    fn originators() {
        let none = env(&[]);
        assert_eq!(originator(&none, None), "codex_cli_rs");
        assert_eq!(originator(&none, Some("probe")), "probe");
        assert_eq!(originator(&none, Some("a\u{1}b")), "codex_cli_rs");
        let set = env(&[("CODEX_INTERNAL_ORIGINATOR_OVERRIDE", "desktop")]);
        assert_eq!(originator(&set, Some("probe")), "desktop");
    }

    #[test]
    fn header_values() {
        for text in ["", "a b", "ä", "\t"] {
            assert!(is_header_value(text), "{text:?}");
        }
        for text in ["a\nb", "\r", "\u{0}", "\u{7f}", "a\u{1}b"] {
            assert!(!is_header_value(text), "{text:?}");
        }
    }
}
