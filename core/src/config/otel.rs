//! Where telemetry goes (config.md §6.3).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::secret::Secret;

/// Where telemetry goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otel {
    /// The attribute `env`.
    pub environment: String,
    /// Whether prompts are in it.
    pub log_user_prompt: bool,
    /// Where log events go.
    pub exporter: Exporter,
    /// Where spans go.
    pub trace_exporter: Exporter,
    /// Where metrics go. The key is ours: the reference sends them to its vendor.
    pub metrics_exporter: Exporter,
}

impl Default for Otel {
    fn default() -> Self {
        Self {
            environment: "dev".to_owned(),
            log_user_prompt: false,
            exporter: Exporter::None,
            trace_exporter: Exporter::None,
            metrics_exporter: Exporter::None,
        }
    }
}

/// A place that telemetry goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// Nowhere.
    None,
    /// The vendor's own.
    Statsig,
    /// An OTLP collector over HTTP.
    OtlpHttp(Endpoint, OtlpProtocol),
    /// An OTLP collector over gRPC.
    OtlpGrpc(Endpoint),
}

/// An OTLP collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    /// Headers that it wants.
    pub headers: BTreeMap<String, Secret>,
    /// Certificates.
    pub tls: Option<Tls>,
}

/// How OTLP is written over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtlpProtocol {
    /// As protocol buffers.
    Binary,
    /// As JSON.
    Json,
}

/// Certificates of an exporter; paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Tls {
    /// The authority to trust.
    pub ca_certificate: Option<PathBuf>,
    /// The certificate to show.
    pub client_certificate: Option<PathBuf>,
    /// Its key.
    pub client_private_key: Option<PathBuf>,
}

/// `[otel]` as it stands in a file.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct OtelDocument {
    environment: Option<String>,
    log_user_prompt: Option<bool>,
    exporter: Option<ExporterDocument>,
    trace_exporter: Option<ExporterDocument>,
    metrics_exporter: Option<ExporterDocument>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ExporterDocument {
    None,
    Statsig,
    OtlpHttp {
        endpoint: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        protocol: OtlpProtocol,
        tls: Option<Tls>,
    },
    OtlpGrpc {
        endpoint: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        tls: Option<Tls>,
    },
}

impl From<OtelDocument> for Otel {
    fn from(doc: OtelDocument) -> Self {
        let base = Self::default();
        let exporter = doc.exporter.map_or(Exporter::None, Exporter::from);
        // They follow the logs unless they are sent elsewhere (config.md §6.3).
        let follow = |own: Option<ExporterDocument>, path| {
            own.map_or_else(|| exporter.following_to(path), Exporter::from)
        };
        Self {
            environment: doc.environment.unwrap_or(base.environment),
            log_user_prompt: doc.log_user_prompt.unwrap_or(false),
            trace_exporter: follow(doc.trace_exporter, "/v1/traces"),
            metrics_exporter: follow(doc.metrics_exporter, "/v1/metrics"),
            exporter,
        }
    }
}

impl Exporter {
    /// The same collector for what belongs to another path than its logs (config.md §10 no. 40).
    fn following_to(&self, path: &str) -> Self {
        let mut other = self.clone();
        if let Self::OtlpHttp(endpoint, _) = &mut other
            && let Some(base) = endpoint.url.strip_suffix("/v1/logs")
        {
            endpoint.url = format!("{base}{path}");
        }
        other
    }
}

impl From<ExporterDocument> for Exporter {
    fn from(doc: ExporterDocument) -> Self {
        let endpoint = |url, headers: BTreeMap<String, String>, tls| Endpoint {
            url,
            headers: headers.into_iter().map(|(k, v)| (k, Secret::new(v))).collect(),
            tls,
        };
        match doc {
            ExporterDocument::None => Self::None,
            ExporterDocument::Statsig => Self::Statsig,
            ExporterDocument::OtlpHttp { endpoint: url, headers, protocol, tls } => {
                Self::OtlpHttp(endpoint(url, headers, tls), protocol)
            }
            ExporterDocument::OtlpGrpc { endpoint: url, headers, tls } => {
                Self::OtlpGrpc(endpoint(url, headers, tls))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exporter, Otel, OtelDocument, OtlpProtocol};

    fn parse(text: &str) -> Result<Otel, String> {
        toml::from_str::<OtelDocument>(text).map(Otel::from).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn spans_and_metrics_follow_the_logs() {
        let text = "exporter = {otlp-http = {endpoint = 'http://c/v1/logs', protocol = 'json', \
                    headers = {key = 'sk-1'}}}";
        let otel = parse(text).expect("telemetry");
        assert!(matches!(&otel.exporter, Exporter::OtlpHttp(to, OtlpProtocol::Json)
            if to.url == "http://c/v1/logs"));
        let urls = [&otel.trace_exporter, &otel.metrics_exporter].map(|exporter| match exporter {
            Exporter::OtlpHttp(to, _) => to.url.as_str(),
            _ => "",
        });
        assert_eq!(urls, ["http://c/v1/traces", "http://c/v1/metrics"]);
        assert!(!format!("{otel:?}").contains("sk-1"));
        let split = parse(&format!("{text}\ntrace_exporter = 'none'")).expect("telemetry");
        assert_eq!(split.trace_exporter, Exporter::None);
    }

    #[test]
    fn a_collector_needs_a_protocol() {
        let error = parse("exporter = {otlp-http = {endpoint = 'x'}}").err();
        assert_eq!(error.as_deref(), Some("missing field `protocol`"));
    }
}
