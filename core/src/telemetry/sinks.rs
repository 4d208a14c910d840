//! Where measurements go, as the configuration says it: addresses, certificates, time limits, and
//! what is wrong with them (config.md §6.3).
//!
//! Invariant: nothing that is wrong here keeps the server from running: what it concerns is not
//! sent, and the user is warned (config.md §10 no. 12).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::ConfigWarning;
use crate::config::otel::{Endpoint, Exporter, Otel, OtlpProtocol, Tls};
use crate::files::Files;
use crate::limits;
use crate::secret::Secret;
use crate::setup::Environment;

use super::Scope;

/// The name that collectors know the server by, unless the environment has another one.
const SERVICE: &str = "understudy";

/// Where measurements go, and what goes with all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sinks {
    /// The name of the service.
    pub service: String,
    /// Names the process among others of the service, whose counts are not its own.
    pub instance: u128,
    /// The attribute `env`.
    pub environment: String,
    /// The terminal, as the user agent has it.
    pub terminal: String,
    /// What the environment adds: `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
    /// Where log records go.
    pub logs: Option<Collector>,
    /// Where spans go.
    pub spans: Option<Collector>,
    /// Where metrics go.
    pub metrics: Option<Collector>,
    /// Whether the words of prompts are in events.
    pub(super) has_prompts: bool,
    /// The trace that the process was started in.
    pub(super) parent: Option<Scope>,
}

/// A collector of one kind of measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Where requests go; for gRPC without the method's path.
    pub url: String,
    /// How they are written.
    pub wire: CollectorWire,
    /// Headers that it wants.
    pub headers: Vec<(String, Secret)>,
    /// Authorities to trust, as PEM: in place of the system's, or with gRPC beside them.
    pub authorities: Option<Arc<[u8]>>,
    /// What to show of oneself.
    pub identity: Option<Identity>,
    /// How long one request may take.
    pub limit: Duration,
}

/// How a collector is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectorWire {
    /// OTLP over HTTP, as protocol buffers.
    Binary,
    /// OTLP over HTTP, as JSON.
    Json,
    /// OTLP over gRPC.
    Grpc,
}

/// A client's certificate, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those that vouch for it.
    pub certificate: Arc<[u8]>,
    /// Its key.
    pub key: Secret,
}

/// One kind of measurements.
#[derive(Clone, Copy)]
struct Signal {
    name: &'static str,
    path: &'static str,
    limit_variable: &'static str,
}

const LOGS: Signal =
    Signal { name: "logs", path: "/v1/logs", limit_variable: "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT" };
const SPANS: Signal = Signal {
    name: "traces",
    path: "/v1/traces",
    limit_variable: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
};
const METRICS: Signal = Signal {
    name: "metrics",
    path: "/v1/metrics",
    limit_variable: "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
};

/// What is wrong, and what it costs.
#[derive(Default)]
struct Faults(Vec<(String, Vec<&'static str>)>);

impl Sinks {
    /// What the configuration amounts to; none if nothing is sent anywhere. Reads certificates, and
    /// touches nothing where telemetry is off.
    pub(crate) fn prepare(
        files: &dyn Files,
        otel: &Otel,
        env: &Environment,
    ) -> (Option<Box<Self>>, Vec<ConfigWarning>) {
        let wanted = [
            (LOGS, &otel.exporter),
            (SPANS, &otel.trace_exporter),
            (METRICS, &otel.metrics_exporter),
        ];
        if wanted.iter().all(|(_, exporter)| **exporter == Exporter::None) {
            return (None, Vec::new());
        }
        let mut faults = Faults::default();
        let [logs, mut spans, metrics] = wanted.map(|(signal, exporter)| {
            collector(files, env, signal, exporter)
                .unwrap_or_else(|text| faults.add(signal.name, text))
        });
        let (parent, is_sampled) = parent(env);
        if !is_sampled {
            spans = None;
        }
        let is_sent = logs.is_some() || spans.is_some() || metrics.is_some();
        let sinks = is_sent.then(|| {
            Box::new(Self {
                service: env.filled("OTEL_SERVICE_NAME").unwrap_or(SERVICE).to_owned(),
                instance: 0,
                environment: otel.environment.clone(),
                terminal: String::new(),
                attributes: attributes(env),
                logs,
                spans,
                metrics,
                has_prompts: otel.log_user_prompt,
                parent,
            })
        });
        (sinks, faults.warnings())
    }
}

impl Collector {
    /// Its host and port, which is all of its address that is for everybody.
    pub(crate) fn host(&self) -> &str {
        authority(&self.url).unwrap_or_default()
    }
}

impl CollectorWire {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "otlp-http binary",
            Self::Json => "otlp-http json",
            Self::Grpc => "otlp-grpc",
        }
    }
}

impl Faults {
    /// One exporter may serve several signals: what is wrong with it is said once.
    fn add(&mut self, signal: &'static str, text: String) -> Option<Collector> {
        match self.0.iter_mut().find(|(other, _)| *other == text) {
            Some((_, signals)) => signals.push(signal),
            None => self.0.push((text, vec![signal])),
        }
        None
    }

    fn warnings(self) -> Vec<ConfigWarning> {
        let warning = |(text, signals): (String, Vec<&str>)| ConfigWarning {
            summary: format!("Telemetry is not sent: {}.", signals.join(", ")),
            details: Some(text),
            path: None,
            range: None,
        };
        self.0.into_iter().map(warning).collect()
    }
}

fn collector(
    files: &dyn Files,
    env: &Environment,
    signal: Signal,
    exporter: &Exporter,
) -> Result<Option<Collector>, String> {
    let (endpoint, wire) = match exporter {
        Exporter::None => return Ok(None),
        Exporter::Statsig => {
            return Err("the exporter `statsig` is another vendor's; nothing goes there".to_owned());
        }
        Exporter::OtlpHttp(endpoint, OtlpProtocol::Binary) => (endpoint, CollectorWire::Binary),
        Exporter::OtlpHttp(endpoint, OtlpProtocol::Json) => (endpoint, CollectorWire::Json),
        Exporter::OtlpGrpc(endpoint) => (endpoint, CollectorWire::Grpc),
    };
    let headers = endpoint.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    let tls = endpoint.tls.clone().unwrap_or_default();
    Ok(Some(Collector {
        url: url(endpoint, wire, signal)?,
        wire,
        headers: headers.collect(),
        authorities: tls.ca_certificate.as_deref().map(|path| pem(files, path)).transpose()?,
        identity: identity(files, &tls)?,
        limit: limit(env, signal),
    }))
}

/// The address. One without a path gets that of its kind, for no collector listens at the root.
fn url(endpoint: &Endpoint, wire: CollectorWire, signal: Signal) -> Result<String, String> {
    let url = endpoint.url.trim();
    let Some(authority) = authority(url) else {
        // The text may hold a key, so that it is not repeated.
        return Err("the endpoint is no address of the form http(s)://host:port/path".to_owned());
    };
    let bare = url.strip_suffix('/').unwrap_or(url);
    Ok(match wire {
        CollectorWire::Grpc => bare.to_owned(),
        _ if bare.ends_with(authority) => format!("{bare}{}", signal.path),
        _ => url.to_owned(),
    })
}

/// Host and port of an address, without the name and password before them.
fn authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let is_host = !host.is_empty() && !host.starts_with(':');
    (is_host && !host.contains(|c: char| c.is_whitespace() || c.is_control())).then_some(host)
}

fn identity(files: &dyn Files, tls: &Tls) -> Result<Option<Identity>, String> {
    match (&tls.client_certificate, &tls.client_private_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let certificate = pem(files, certificate)?;
            let text = pem(files, key)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            Ok(Some(Identity { certificate, key: Secret::new(text) }))
        }
        _ => Err("client-certificate and client-private-key go together".to_owned()),
    }
}

fn pem(files: &dyn Files, path: &Path) -> Result<Arc<[u8]>, String> {
    let bytes = files
        .read(path, limits::CERTIFICATE_BYTES_MAX)
        .map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    if String::from_utf8_lossy(&bytes).contains("-----BEGIN ") {
        return Ok(bytes.into());
    }
    Err(format!("there is nothing in PEM format in {}", path.display()))
}

fn limit(env: &Environment, signal: Signal) -> Duration {
    let named = [signal.limit_variable, "OTEL_EXPORTER_OTLP_TIMEOUT"];
    let ms = |name: &&str| env.filled(name)?.trim().parse().ok().filter(|ms| *ms > 0);
    let ms = named.iter().find_map(ms);
    ms.map_or(limits::COLLECTOR_LIMIT, Duration::from_millis).min(limits::COLLECTOR_LIMIT_MAX)
}

/// `key=value,…`; what is no pair is left out.
fn attributes(env: &Environment) -> Vec<(String, String)> {
    let text = env.filled("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.trim().to_owned()))
    };
    text.split(',').filter_map(pair).take(limits::RESOURCE_ATTRIBUTES_MAX).collect()
}

/// The trace that the process was started in (`TRACEPARENT`, W3C Trace Context), and whether whoever
/// began it wants its spans.
fn parent(env: &Environment) -> (Option<Scope>, bool) {
    let Some(text) = env.filled("TRACEPARENT") else { return (None, true) };
    match trace_parent(text.trim()) {
        Some((scope, is_sampled)) => (Some(scope), is_sampled),
        None => {
            tracing::warn!("TRACEPARENT is no trace context and counts for nothing");
            (None, true)
        }
    }
}

fn trace_parent(text: &str) -> Option<(Scope, bool)> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let is_hex = part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (part.len() == digits && is_hex).then_some(part)
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_known = version == "00";
    if version == "ff" || (is_known && parts.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some((Scope { trace, span }, flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CollectorWire, Scope, Sinks, authority, trace_parent};
    use crate::config::ConfigAsk;
    use crate::files::MemoryFiles;
    use crate::setup::Environment;

    fn prepare(
        config: &str,
        files: MemoryFiles,
        env: &[(&str, &str)],
    ) -> (Option<Box<Sinks>>, Vec<String>) {
        let files = files.with("/h/config.toml", config);
        let found = crate::config::startup(&files, &ConfigAsk::new("/h", "/w"));
        assert_eq!(found.warnings, []);
        let env: Environment =
            env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (sinks, warnings) = Sinks::prepare(&files, &found.config.telemetry.otel, &env);
        let said = |w: crate::config::ConfigWarning| {
            format!("{} {}", w.summary, w.details.unwrap_or_default())
        };
        (sinks, warnings.into_iter().map(said).collect())
    }

    #[test]
    fn nothing_configured_is_nothing_at_all() {
        for config in ["", "[otel]\nenvironment = 'x'", "otel.exporter = 'none'"] {
            assert_eq!(prepare(config, MemoryFiles::new(), &[]), (None, Vec::new()), "{config}");
        }
    }

    #[test]
    fn one_exporter_serves_all_and_each_kind_goes_where_it_belongs() {
        let config = "[otel]\nenvironment = 'prod'\n\
             exporter.otlp-http = {endpoint = 'https://c:4318', protocol = 'binary'}\n\
             metrics_exporter.otlp-grpc = {endpoint = 'http://m:4317/', headers = {k = 'sk-1'}}";
        let env = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "-1"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "99000000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=a, =b,c, user.id = 7"),
        ];
        let (sinks, warnings) = prepare(config, MemoryFiles::new(), &env);
        assert_eq!(warnings, [] as [String; 0]);
        let sinks = sinks.expect("sinks");
        let facts = [&sinks.logs, &sinks.spans, &sinks.metrics].map(|collector| {
            let collector = collector.as_ref().expect("a collector");
            (collector.url.as_str(), collector.wire, collector.limit.as_millis())
        });
        assert_eq!(
            facts,
            [
                ("https://c:4318/v1/logs", CollectorWire::Binary, 500),
                ("https://c:4318/v1/traces", CollectorWire::Binary, 500),
                ("http://m:4317", CollectorWire::Grpc, 60_000),
            ]
        );
        assert_eq!((&*sinks.service, &*sinks.environment), ("understudy", "prod"));
        let pairs = sinks.attributes.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        assert!(pairs.eq([("team", "a"), ("user.id", "7")]));
        assert!(!format!("{sinks:?}").contains("sk-1"));
        let limit = sinks.logs.map(|collector| collector.limit);
        assert_eq!(limit, Some(Duration::from_millis(500)));
    }

    /// Each costs what it concerns, and no more (config.md §10 no. 12).
    #[test]
    fn what_is_wrong_is_warned_about_and_not_sent() {
        let http = |more: &str| {
            format!("exporter.otlp-http = {{endpoint = 'http://c', protocol = 'json', {more}}}")
        };
        let rest = "\ntrace_exporter = 'none'\nmetrics_exporter = 'none'";
        let cases = [
            (http("tls.ca-certificate = '/no'"), "failed to read /no: "),
            (http("tls.ca-certificate = '/text'"), "nothing in PEM format in /text"),
            (http("tls.client-certificate = '/pem'"), "go together"),
            ("exporter = 'statsig'".to_owned(), "another vendor's"),
            ("exporter.otlp-grpc = {endpoint = 'c:4317'}".to_owned(), "no address"),
            ("exporter.otlp-grpc = {endpoint = 'http://'}".to_owned(), "no address"),
        ];
        let files =
            MemoryFiles::new().with("/text", "hello").with("/pem", "-----BEGIN CERTIFICATE-----");
        for (line, why) in cases {
            let (sinks, warnings) = prepare(&format!("[otel]\n{line}"), files.clone(), &[]);
            assert_eq!(sinks, None, "{line}");
            let [warning] = &warnings[..] else { panic!("{line}: {warnings:?}") };
            let start = "Telemetry is not sent: logs, traces, metrics. ";
            assert!(warning.starts_with(start) && warning.contains(why), "{warning}");
            let text = format!("[otel]\n{line}{rest}");
            let (_, warnings) = prepare(&text, files.clone(), &[]);
            assert!(warnings[0].starts_with("Telemetry is not sent: logs. "), "{warnings:?}");
        }
        let config = "[otel]\nexporter.otlp-grpc = {endpoint = 'http://c'}\n\
                      trace_exporter = 'statsig'";
        let (sinks, warnings) = prepare(config, files, &[]);
        let sinks = sinks.expect("the others are sent");
        assert!(sinks.logs.is_some() && sinks.spans.is_none() && sinks.metrics.is_some());
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn the_trace_of_whoever_started_us_is_gone_on_with() {
        let scope = Scope { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 7 };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let span = "0000000000000007";
        assert_eq!(trace_parent(&format!("00-{trace}-{span}-01")), Some((scope, true)));
        assert_eq!(trace_parent(&format!("00-{trace}-{span}-00")), Some((scope, false)));
        assert_eq!(trace_parent(&format!("cc-{trace}-{span}-01-more")), Some((scope, true)));
        let zero = "0".repeat(32);
        for bad in [
            String::new(),
            format!("ff-{trace}-{span}-01"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{zero}-{span}-01"),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-7-01"),
        ] {
            assert_eq!(trace_parent(&bad), None, "{bad}");
        }
        let config = "otel.exporter.otlp-grpc = {endpoint = 'http://c'}";
        let unsampled = format!("00-{trace}-{span}-00");
        let (sinks, _) = prepare(config, MemoryFiles::new(), &[("TRACEPARENT", &unsampled)]);
        let sinks = sinks.expect("logs and metrics");
        assert!(sinks.spans.is_none() && sinks.logs.is_some());
    }

    #[test]
    fn an_address_is_told_without_what_may_be_secret() {
        assert_eq!(authority("https://me:pw@c:1/x?key=1"), Some("c:1"));
        assert_eq!(authority("HTTP://c"), Some("c"));
        for bad in ["c:4317", "ftp://c", "http://", "http://:80", "http:///v1", "http://a b"] {
            assert_eq!(authority(bad), None, "{bad}");
        }
    }
}
