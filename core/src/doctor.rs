//! What a person needs to know when the server does not do what they expect: which settings hold
//! and where they come from, who is signed in, which provider is asked (config.md §2, auth.md §2).
//!
//! Owns: what is looked at, and that nothing secret is in it. It looks the way start-up does, so
//! what it says is what a server would start with. Never: changes anything.

use std::path::PathBuf;

use serde::Serialize;

use crate::auth::Credential;
use crate::config::mcp::{McpServer, McpTransport};
use crate::config::{self, Config, ConfigWarning, Layer};
use crate::effect::{HttpRequest, Method};
use crate::files::Disk;
use crate::limits;
use crate::machine::startup::{config_ask, flags_fault, policy_of};
use crate::model::request::{self, LoginKind};
use crate::rules::{RulesError, RulesFolder, RulesJob};
use crate::setup::Setup;
use crate::telemetry::{Collector, Sinks};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::v2::account::{AuthMode, PlanType};

/// What was found. Nothing in it is secret.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// The version of the protocol that is served.
    pub protocol_version: &'static str,
    /// The state folder.
    pub home: PathBuf,
    /// Whether it is there.
    pub home_exists: bool,
    /// The folder that the server was started in.
    pub cwd: PathBuf,
    /// The layers of the configuration, highest precedence first.
    pub layers: Vec<LayerFacts>,
    /// What is wrong with them, as clients are told it.
    pub warnings: Vec<ConfigWarning>,
    /// Who is signed in.
    pub login: LoginFacts,
    /// Where models are asked.
    pub provider: ProviderFacts,
    /// What commands may touch, as configured.
    pub sandbox_mode: &'static str,
    /// When a person is asked, as configured.
    pub approval_policy: &'static str,
    /// The MCP servers by name.
    pub mcp_servers: Vec<McpFacts>,
    /// Where telemetry goes; none if it goes nowhere.
    pub telemetry: Option<TelemetryFacts>,
}

/// Where telemetry goes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TelemetryFacts {
    /// Where log records go.
    pub logs: Option<CollectorFacts>,
    /// Where spans go.
    pub traces: Option<CollectorFacts>,
    /// Where metrics go.
    pub metrics: Option<CollectorFacts>,
    /// Whether the words of prompts are told.
    pub has_prompts: bool,
}

/// A collector of telemetry.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectorFacts {
    /// Its host and port.
    pub host: String,
    /// How it is talked to.
    pub protocol: &'static str,
}

/// A layer of the configuration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerFacts {
    /// Where it comes from, as on the wire.
    pub source: config::LayerSource,
    /// The settings in it at the top level.
    pub keys: Vec<String>,
    /// Why it does not count, if it does not.
    pub disabled: Option<String>,
}

/// Who is signed in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginFacts {
    /// With what kind of credentials; none if nobody is.
    pub mode: Option<AuthMode>,
    /// The plan of the account, if it is known.
    pub plan: Option<PlanType>,
    /// Whether the provider wants somebody to be signed in.
    pub is_required: bool,
    /// What is wrong with the stored credentials.
    pub problem: Option<String>,
}

/// Where models are asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderFacts {
    /// Its key in the configuration.
    pub id: String,
    /// Its address, without a query.
    pub url: String,
    /// The variable that holds its key, and whether it is set.
    pub key_variable: Option<(String, bool)>,
    /// Why it cannot be asked at all.
    pub problem: Option<String>,
}

/// An MCP server as configured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct McpFacts {
    /// Its name.
    pub name: String,
    /// `stdio` or `http`.
    pub transport: &'static str,
    /// Whether it would be started.
    pub enabled: bool,
    /// Why not, where the user did not say so.
    pub disabled_reason: Option<String>,
}

/// Looks at everything. May block.
pub fn examine(setup: &Setup, disk: Disk<'_>) -> Examination {
    let ask = config_ask(setup);
    let found = config::startup(disk.files, &ask);
    let config = &*found.config;
    let folders = RulesFolder::of(&found.layers, config.permissions.trust);
    let rules = RulesJob { folders }.run(disk.files).errors;
    let mut warnings: Vec<ConfigWarning> = rules.iter().map(RulesError::warning).collect();
    if let Some(error) = &found.flags_error {
        let details = Some(flags_fault(error, &found.warnings));
        let summary = "No server begins with these arguments.".to_owned();
        warnings.push(ConfigWarning { summary, details, path: None, range: None });
    }
    warnings.extend(found.warnings);
    let otel = &config.telemetry.otel;
    let (sinks, trouble) = Sinks::prepare(disk.files, otel, &setup.env);
    warnings.extend(trouble);
    let place = policy_of(config, ask.home.join("auth.json")).place;
    let (credential, problem) = match place.load(disk) {
        Ok(credential) => (credential, None),
        Err(text) => (Credential::None, Some(text)),
    };
    Examination {
        protocol_version: PROTOCOL_VERSION,
        home_exists: disk.files.stat(&ask.home).is_ok_and(|stat| stat.is_dir),
        home: ask.home,
        cwd: setup.cwd.clone(),
        layers: found.layers.iter().rev().map(layer).collect(),
        warnings,
        provider: provider(config, setup, &credential),
        login: LoginFacts {
            mode: credential.mode(),
            plan: credential.plan(),
            is_required: config.provider.requires_openai_auth,
            problem,
        },
        sandbox_mode: config.permissions.sandbox_mode.as_str(),
        approval_policy: config.permissions.approval_policy.as_str(),
        mcp_servers: config.mcp.servers.iter().map(|(name, server)| mcp(name, server)).collect(),
        telemetry: sinks.map(|sinks| telemetry(&sinks, otel.log_user_prompt)),
    }
}

impl Examination {
    /// A request that any answer to says that the provider can be reached. It names nobody.
    pub fn probe(&self) -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            url: self.provider.url.clone(),
            headers: Vec::new(),
            body: Vec::new(),
            head_limit: Some(limits::PROBE_LIMIT),
            total_limit: Some(limits::PROBE_LIMIT),
        }
    }
}

fn layer(layer: &Layer) -> LayerFacts {
    LayerFacts {
        source: layer.source.clone(),
        keys: layer.value.keys().cloned().collect(),
        disabled: layer.disabled.clone(),
    }
}

fn provider(config: &Config, setup: &Setup, credential: &Credential) -> ProviderFacts {
    let login = match credential {
        Credential::None => LoginKind::Nobody,
        Credential::ApiKey(_) => LoginKind::ApiKey,
        Credential::Managed(_) | Credential::External(_) => LoginKind::ChatGpt,
    };
    let facts = config.provider.facts(&config.provider_id);
    let url = request::base_url(&facts, login);
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let key = config.provider.env_key.as_ref();
    let problem = config.provider.check_wire(&config.provider_id).err();
    ProviderFacts {
        id: config.provider_id.clone(),
        url: without_user(url),
        key_variable: key.map(|name| (name.clone(), setup.env.filled(name).is_some())),
        problem: problem.map(|error| error.to_string()),
    }
}

/// An address without a name and password in it.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn telemetry(sinks: &Sinks, has_prompts: bool) -> TelemetryFacts {
    let facts = |collector: &Option<Collector>| {
        collector.as_ref().map(|collector| CollectorFacts {
            host: collector.host().to_owned(),
            protocol: collector.wire.as_str(),
        })
    };
    TelemetryFacts {
        logs: facts(&sinks.logs),
        traces: facts(&sinks.spans),
        metrics: facts(&sinks.metrics),
        has_prompts,
    }
}

fn mcp(name: &str, server: &McpServer) -> McpFacts {
    McpFacts {
        name: name.to_owned(),
        transport: match server.transport {
            McpTransport::Stdio { .. } => "stdio",
            McpTransport::Http { .. } => "http",
        },
        enabled: server.enabled,
        disabled_reason: server.disabled_reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{examine, without_user};
    use crate::files::{Disk, MemoryFiles, NoKeyring};
    use crate::setup::Setup;
    use crate::wire::v2::account::AuthMode;

    #[test]
    fn everything_is_said_and_nothing_secret() {
        let files = MemoryFiles::new()
            .with(
                "/h/config.toml",
                "model_provider = 'p'\nsandbox_mode = 'workspace-write'\n\
                 [model_providers.p]\nname = 'P'\nwire_api = 'responses'\nenv_key = 'P_KEY'\n\
                 base_url = 'https://me:hidden-1@host/v1?key=hidden-2'\n\
                 http_headers = {x = 'hidden-3'}\n\
                 [mcp_servers.docs]\ncommand = 'docs'\nenv = {T = 'hidden-4'}\n\
                 [mcp_servers.web]\nurl = 'http://x/?hidden-5'\nenabled = false\n\
                 [otel]\nexporter.otlp-http = {endpoint = 'https://me:hidden-8@c:4318/v1/logs', \
                 protocol = 'json', headers = {k = 'hidden-9'}}\n",
            )
            .with("/h/auth.json", r#"{"OPENAI_API_KEY": "hidden-6"}"#)
            .with("/h/rules/a.rules", "prefix_rule(\n");
        let env = [("P_KEY".to_owned(), "hidden-7".to_owned())].into_iter().collect();
        let setup = Setup { env: Arc::new(env), ..Setup::new("/h", "/w") };
        let found = examine(&setup, Disk { files: &files, keyring: &NoKeyring });
        let json = serde_json::to_value(&found).expect("JSON");
        assert!(!json.to_string().contains("hidden"), "{json}");
        assert_eq!(found.provider.url, "https://host/v1");
        assert_eq!(found.provider.key_variable, Some(("P_KEY".to_owned(), true)));
        assert_eq!(found.login.mode, Some(AuthMode::ApiKey));
        let servers: Vec<_> =
            found.mcp_servers.iter().map(|s| (&*s.name, s.transport, s.enabled)).collect();
        assert_eq!(servers, [("docs", "stdio", true), ("web", "http", false)]);
        let telemetry = found.telemetry.as_ref().and_then(|telemetry| telemetry.traces.as_ref());
        let telemetry = telemetry.map(|to| (&*to.host, to.protocol));
        assert_eq!(telemetry, Some(("c:4318", "otlp-http json")));
        assert_eq!(found.warnings.len(), 1);
        assert_eq!((found.sandbox_mode, found.home_exists), ("workspace-write", true));
        let user = json["layers"].as_array().expect("layers").iter();
        let user = user.filter(|layer| layer["source"]["type"] == "user");
        assert_eq!(user.map(|layer| layer["keys"][0].clone()).collect::<Vec<_>>(), ["mcp_servers"]);
        assert_eq!(found.probe().url, "https://host/v1");
    }

    #[test]
    fn a_broken_home_is_no_reason_to_say_nothing() {
        let files = MemoryFiles::new()
            .with("/h/config.toml", "model = ")
            .with("/h/auth.json", "not a record");
        let found = examine(&Setup::new("/h", "/w"), Disk { files: &files, keyring: &NoKeyring });
        assert_eq!(found.warnings.len(), 1);
        assert!(found.login.problem.is_some() && found.login.mode.is_none());
        assert!(found.provider.url.starts_with("https://"), "{:?}", found.provider);
    }

    #[test]
    fn an_address_is_shown_without_its_user() {
        for (url, shown) in
            [("http://a:b@c/d@e", "http://c/d@e"), ("http://c", "http://c"), ("odd", "odd")]
        {
            assert_eq!(without_user(url), shown);
        }
    }
}
