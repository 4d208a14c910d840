//! Owns: the body and the address of a model request (engine.md §1.11, §1.13).
//! Invariant: the pieces of a body joined are one JSON object with its members in the API's
//! order; history, instructions and tools are shared with the thread, not copied.
//! Never: sends anything.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use serde::Serialize;
use serde_json::value::RawValue;

use super::catalogue::{BASE_INSTRUCTIONS, ModelRecord};
use super::headers::ProviderFacts;
use crate::config::kinds::{ReasoningEffort, ReasoningSummary, Verbosity};

/// Everything that a request's body is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The model.
    pub(crate) model: &'a ModelRecord,
    /// The system prompt as a JSON string, see [`json_string`].
    pub(crate) instructions: &'a Arc<str>,
    /// The history, each item as JSON.
    pub(crate) input: &'a [Arc<str>],
    /// The tools as a JSON array.
    pub(crate) tools: &'a Arc<str>,
    /// Whether the model may call several tools at once; [`ModelRecord`] says, but a compaction
    /// never does.
    pub(crate) parallel: bool,
    /// The configured effort; else the model's own.
    pub(crate) effort: Option<ReasoningEffort>,
    /// What to tell of the reasoning.
    pub(crate) summary: ReasoningSummary,
    /// The configured verbosity; else the model's own.
    pub(crate) verbosity: Option<Verbosity>,
    /// The shape that the final answer must have.
    pub(crate) output_schema: Option<&'a RawValue>,
    /// The thread: requests with the same key share the backend's cache.
    pub(crate) cache_key: &'a str,
    /// See [`wants_store`].
    pub(crate) store: bool,
}

#[derive(Serialize)]
struct Reasoning {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<ReasoningEffort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<ReasoningSummary>,
}

/// The members after `tools`.
#[derive(Serialize)]
struct Tail<'a> {
    tool_choice: &'a str,
    parallel_tool_calls: bool,
    reasoning: Option<Reasoning>,
    store: bool,
    stream: bool,
    include: &'a [&'a str],
    prompt_cache_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOptions<'a>>,
}

#[derive(Serialize)]
struct TextOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<Verbosity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

#[derive(Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    strict: bool,
    schema: &'a RawValue,
    name: &'a str,
}

impl Request<'_> {
    /// The body, in pieces to be sent one after the other.
    pub(crate) fn body(&self) -> Vec<Arc<str>> {
        let comma: Arc<str> = Arc::from(",");
        let mut pieces = Vec::with_capacity(self.input.len() * 2 + 6);
        pieces
            .push(format!(r#"{{"model":{},"instructions":"#, json_string(&self.model.slug)).into());
        pieces.push(Arc::clone(self.instructions));
        pieces.push(Arc::from(r#","input":["#));
        for (at, item) in self.input.iter().enumerate() {
            if at > 0 {
                pieces.push(Arc::clone(&comma));
            }
            pieces.push(Arc::clone(item));
        }
        pieces.push(Arc::from(r#"],"tools":"#));
        pieces.push(Arc::clone(self.tools));
        let tail = to_json(&self.tail());
        // The tail's opening brace becomes the comma after `tools`.
        pieces.push(format!(",{}", tail.strip_prefix('{').unwrap_or(&tail)).into());
        pieces
    }

    fn tail(&self) -> Tail<'_> {
        let model = self.model;
        let reasoning = model.supports_reasoning_summaries.then(|| Reasoning {
            effort: self.effort.or(model.default_reasoning_level),
            summary: Some(self.summary).filter(|summary| *summary != ReasoningSummary::None),
        });
        let include: &[&str] =
            if reasoning.is_some() { &["reasoning.encrypted_content"] } else { &[] };
        let verbosity =
            self.verbosity.or(model.default_verbosity).filter(|_| model.support_verbosity);
        let format = self.output_schema.map(|schema| Format {
            kind: "json_schema",
            strict: true,
            schema,
            name: "codex_output_schema",
        });
        let text =
            (verbosity.is_some() || format.is_some()).then_some(TextOptions { verbosity, format });
        Tail {
            tool_choice: "auto",
            parallel_tool_calls: self.parallel,
            reasoning,
            store: self.store,
            stream: true,
            include,
            prompt_cache_key: self.cache_key,
            text,
        }
    }
}

/// The body of a request that has the backend itself make a history short (engine.md §7.3).
pub(crate) fn compact_body(
    model: &ModelRecord,
    input: &[Arc<str>],
    instructions: &Arc<str>,
) -> Vec<Arc<str>> {
    let mut pieces = vec![format!(r#"{{"model":{},"input":["#, json_string(&model.slug)).into()];
    for (at, item) in input.iter().enumerate() {
        pieces.extend((at > 0).then(|| Arc::from(",")));
        pieces.push(Arc::clone(item));
    }
    pieces.push(Arc::from(r#"],"instructions":"#));
    pieces.push(Arc::clone(instructions));
    pieces.push(Arc::from("}"));
    pieces
}

/// A text as JSON, to be shared by all requests that hold it.
pub(crate) fn json_string(text: &str) -> Arc<str> {
    to_json(text).into()
}

/// The server's own instructions, which most threads have.
static BASE: LazyLock<Arc<str>> = LazyLock::new(|| json_string(BASE_INSTRUCTIONS));

/// Base instructions as a JSON string. Threads share the server's own.
pub(crate) fn instructions_json(text: &str) -> Arc<str> {
    if text == BASE_INSTRUCTIONS { Arc::clone(&BASE) } else { json_string(text) }
}

/// Types of this room have string keys and no fallible parts, so that they always serialise.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}

/// Whether the provider is Azure, which keeps responses and refuses requests that do not say so.
pub(crate) fn wants_store(provider: &ProviderFacts<'_>) -> bool {
    const HOSTS: [&str; 6] = [
        "openai.azure.",
        "cognitiveservices.azure.",
        "aoai.azure.",
        "azure-api.",
        "azurefd.",
        "windows.net/openai",
    ];
    let base = provider.base_url.unwrap_or_default().to_ascii_lowercase();
    provider.name.eq_ignore_ascii_case("azure") || HOSTS.iter().any(|host| base.contains(host))
}

/// How the user is logged in, as far as it decides where requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginKind {
    /// With ChatGPT tokens, the server's own or the host's.
    ChatGpt,
    /// With an API key.
    ApiKey,
    /// Not at all.
    Nobody,
}

/// Where the API of a provider without a base URL is (auth.md §10.4, §13.3). It follows the
/// login also when the credential comes from the provider.
pub(crate) fn default_base(login: LoginKind) -> &'static str {
    match login {
        LoginKind::ChatGpt => "https://chatgpt.com/backend-api/codex",
        LoginKind::ApiKey | LoginKind::Nobody => "https://api.openai.com/v1",
    }
}

/// The provider's base URL, else the default one; a blank one counts as none.
pub(crate) fn base_url<'a>(provider: &ProviderFacts<'a>, login: LoginKind) -> &'a str {
    provider.base_url.filter(|base| !base.trim().is_empty()).unwrap_or_else(|| default_base(login))
}

/// `base` without trailing slashes, `/`, `path`, and the parameters with all that could be
/// mistaken for syntax escaped. A query that the base has already stays behind the path.
pub(crate) fn endpoint_url<'p>(
    base: &str,
    path: &str,
    params: impl IntoIterator<Item = (&'p str, &'p str)>,
) -> String {
    let (base, query) = match base.split_once('?') {
        Some((base, query)) => (base, query),
        None => (base, ""),
    };
    let mut url = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    let mut separator = '?';
    if !query.is_empty() {
        url.push('?');
        url.push_str(query);
        separator = '&';
    }
    for (name, value) in params {
        url.push(separator);
        push_escaped(&mut url, name);
        url.push('=');
        push_escaped(&mut url, value);
        separator = '&';
    }
    url
}

fn push_escaped(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

/// Whether a URL leads to the vendor itself, so that the user's own tokens may go there
/// (auth.md §12 G11). When in doubt it does not.
pub(crate) fn is_first_party(url: &str) -> bool {
    const DOMAINS: [&str; 2] = ["openai.com", "chatgpt.com"];
    const SCHEME: &str = "https://";
    let Some((scheme, rest)) = url.split_at_checked(SCHEME.len()) else {
        return false;
    };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return false;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest).to_ascii_lowercase();
    let (host, port) = authority.split_once(':').unwrap_or((&authority, "443"));
    // No user names, no escapes, no letters that URL parsers drop or fold.
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        && !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit());
    plain
        && DOMAINS.iter().any(|domain| {
            host.strip_suffix(domain).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::catalogue::Catalogue;

    fn body(slug: &str, change: impl FnOnce(&mut Request<'_>)) -> String {
        body_with_schema(slug, None, change)
    }

    fn body_with_schema(
        slug: &str,
        output_schema: Option<&RawValue>,
        change: impl FnOnce(&mut Request<'_>),
    ) -> String {
        let model = Catalogue::default().find(slug);
        let input = [Arc::from(r#"{"a":1}"#), Arc::from(r#"{"b":2}"#)];
        let (instructions, tools) = (json_string("be \"good\""), Arc::from("[]"));
        let mut request = Request {
            model: &model,
            instructions: &instructions,
            input: &input,
            tools: &tools,
            parallel: true,
            effort: None,
            summary: ReasoningSummary::Auto,
            verbosity: None,
            output_schema,
            cache_key: "thread",
            store: false,
        };
        change(&mut request);
        let pieces = request.body();
        assert!(pieces.iter().any(|piece| Arc::ptr_eq(piece, &instructions)), "shared");
        pieces.concat()
    }

    #[test]
    fn the_whole_body() {
        assert_eq!(
            body("gpt-5.2-codex", |_| ()),
            concat!(
                r#"{"model":"gpt-5.2-codex","instructions":"be \"good\"","input":[{"a":1},{"b":2}],"#,
                r#""tools":[],"tool_choice":"auto","parallel_tool_calls":true,"#,
                r#""reasoning":{"effort":"medium","summary":"auto"},"store":false,"stream":true,"#,
                r#""include":["reasoning.encrypted_content"],"prompt_cache_key":"thread"}"#,
            )
        );
        assert_eq!(
            body("mock", |request| {
                request.input = &[];
                request.verbosity = Some(Verbosity::High);
                request.store = true;
            }),
            concat!(
                r#"{"model":"mock","instructions":"be \"good\"","input":[],"tools":[],"#,
                r#""tool_choice":"auto","parallel_tool_calls":true,"reasoning":null,"store":true,"#,
                r#""stream":true,"include":[],"prompt_cache_key":"thread"}"#,
            )
        );
    }

    #[test]
    fn options() {
        let schema: Box<RawValue> =
            serde_json::from_str(r#"{"type": "object"}"#).expect("valid JSON");
        let both = body_with_schema("gpt-5.2", Some(&schema), |request| {
            request.effort = Some(ReasoningEffort::XHigh);
            request.summary = ReasoningSummary::None;
        });
        assert!(both.contains(r#""reasoning":{"effort":"xhigh"}"#));
        assert!(both.ends_with(
            r#""text":{"verbosity":"low","format":{"type":"json_schema","strict":true,"schema":{"type": "object"},"name":"codex_output_schema"}}}"#
        ));
        let set = body("gpt-5", |request| request.verbosity = Some(Verbosity::High));
        assert!(set.ends_with(r#""text":{"verbosity":"high"}}"#));
        assert!(!body("gpt-5", |_| ()).contains("\"text\""), "no default verbosity");
    }

    #[test]
    fn urls() {
        let none: [(&str, &str); 0] = [];
        for (base, expect) in [
            ("https://h/v1", "https://h/v1/responses"),
            ("https://h/v1//", "https://h/v1/responses"),
            ("https://h/v1/?a=b", "https://h/v1/responses?a=b"),
        ] {
            assert_eq!(endpoint_url(base, "responses", none), expect);
        }
        let params = [("api version", "2026&x=#1"), ("ä", "")];
        assert_eq!(
            endpoint_url("http://h", "/models", params),
            "http://h/models?api%20version=2026%26x%3D%231&%C3%A4="
        );
        assert!(endpoint_url("http://h?a=b", "m", [("c", "d")]).ends_with("/m?a=b&c=d"));
    }

    #[test]
    fn first_party_urls() {
        for url in [
            "https://chatgpt.com/backend-api/codex",
            "https://api.openai.com/v1",
            "HTTPS://API.OpenAI.com:443/v1",
            "https://chatgpt.com",
        ] {
            assert!(is_first_party(url), "{url}");
        }
        for url in [
            "http://api.openai.com/v1",
            "https://openai.com.evil.test/",
            "https://notopenai.com/",
            "https://api.openai.com@evil.test/",
            "https://evil.test/api.openai.com",
            "https://evil.test\\@api.openai.com/",
            "https://evil.test#.openai.com",
            "https://evil.test?.openai.com",
            "https://user:pw@api.openai.com/",
            "https://api.openai.com:x/",
            "https://api.openai.com:/",
            "https://evil%2etest.openai.com/",
            "https://",
            "openai.com",
            "",
        ] {
            assert!(!is_first_party(url), "{url}");
        }
    }

    #[test]
    fn bases_and_azure() {
        let (params, secrets) = (BTreeMap::new(), BTreeMap::new());
        let provider = |name, base_url| ProviderFacts {
            id: "p",
            name,
            base_url,
            query_params: &params,
            http_headers: &secrets,
            env_http_headers: &params,
        };
        let own = provider("p", Some("http://h/v1"));
        assert_eq!(base_url(&own, LoginKind::ChatGpt), "http://h/v1");
        let plain = provider("p", Some(" "));
        for (login, base) in [
            (LoginKind::ChatGpt, "https://chatgpt.com/backend-api/codex"),
            (LoginKind::ApiKey, "https://api.openai.com/v1"),
            (LoginKind::Nobody, "https://api.openai.com/v1"),
        ] {
            assert_eq!(base_url(&plain, login), base);
        }
        assert!(!wants_store(&own) && !wants_store(&plain));
        assert!(wants_store(&provider("AZURE", None)));
        assert!(wants_store(&provider("p", Some("https://x.OpenAI.azure.com/openai"))));
    }
}
