//! Owns: a pretended collector of telemetry, OTLP over HTTP and gRPC on one loopback port, with TLS
//! where that is wanted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use http::{HeaderMap, Response};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The collector's certificate, which is its own authority and its clients' certificate, too: for
/// 127.0.0.1, made for these tests.
pub(crate) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBTjCB9KADAgECAgEBMAoGCCqGSM49BAMCMB4xHDAaBgNVBAMME3ByZXRlbmRl
ZCBjb2xsZWN0b3IwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMB4x
HDAaBgNVBAMME3ByZXRlbmRlZCBjb2xsZWN0b3IwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQBUAVunmZhDJo/K53dfNzF5HfPpIaNgiOO5OoRE5TrE39B39BYSwwz
R6qVgu0C7+UR2oFmgsumM4XIsKjMp9+loyEwHzAMBgNVHRMBAf8EAjAAMA8GA1Ud
EQQIMAaHBH8AAAEwCgYIKoZIzj0EAwIDSQAwRgIhAJKCFrOkM4ujI1jo3QP/wX8B
HjxHeV+NJBd8T180S6RHAiEAiFTuq6CZ66W/9qWbRkoBdXwmH6wNHjuk5oGjS4Jl
cj8=
-----END CERTIFICATE-----
";

/// Its key. It opens nothing.
pub(crate) const CERTIFICATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBOqAVsBnNaRvBvhE
52lpq9ZhjzTaDifITiVni82tFEGhRANCAAQBUAVunmZhDJo/K53dfNzF5HfPpIaN
giOO5OoRE5TrE39B39BYSwwzR6qVgu0C7+UR2oFmgsumM4XIsKjMp9+l
-----END PRIVATE KEY-----
";

/// One request to the collector.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    /// As it came, but for the frame of gRPC.
    pub(crate) body: Vec<u8>,
}

impl Export {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn decode<T: Message + Default + DeserializeOwned>(&self) -> T {
        match self.header("content-type") {
            "application/json" => serde_json::from_slice(&self.body).expect("OTLP as JSON"),
            "application/x-protobuf" | "application/grpc" => {
                T::decode(self.body.as_slice()).expect("OTLP as protocol buffers")
            }
            other => panic!("a body of the type {other:?}"),
        }
    }
}

/// Collects until it is dropped with its process.
pub(crate) struct Collector {
    scheme: &'static str,
    port: u16,
    kept: Arc<Kept>,
}

/// What came so far, and what is said of it.
#[derive(Default)]
struct Kept {
    exports: Mutex<Vec<Export>>,
    verdict: Verdict,
}

/// What is said of calls in gRPC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) status: &'static str,
    /// Whether it stands before the answer, of which there is none then.
    pub(crate) is_early: bool,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { status: "0", is_early: false }
    }
}

impl Kept {
    fn keep(&self, export: Export) {
        self.exports.lock().unwrap_or_else(PoisonError::into_inner).push(export);
    }
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::with(None, Verdict::default())
    }

    /// One with TLS that wants its clients to show the certificate.
    pub(crate) fn start_tls() -> Self {
        Self::with(Some(tls()), Verdict::default())
    }

    /// One that says this of what it gets.
    pub(crate) fn start_saying(verdict: Verdict) -> Self {
        Self::with(None, verdict)
    }

    fn with(tls: Option<TlsAcceptor>, verdict: Verdict) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let port = listener.local_addr().map_or(0, |address: SocketAddr| address.port());
        let kept = Arc::new(Kept { verdict, ..Kept::default() });
        let theirs = Arc::clone(&kept);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, tls.clone(), Arc::clone(&theirs)));
                }
            });
        });
        Self { scheme, port, kept }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub(crate) fn exports(&self) -> Vec<Export> {
        self.kept.exports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came on paths that end so.
    fn of<T: Message + Default + DeserializeOwned>(&self, ends: [&str; 2]) -> Vec<T> {
        let exports = self.exports();
        let wanted = exports.iter().filter(|e| ends.iter().any(|end| e.path.ends_with(end)));
        wanted.map(Export::decode).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let requests = self.of::<ExportTraceServiceRequest>(["/v1/traces", ".TraceService/Export"]);
        let resources = requests.into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|r| r.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let requests = self.of::<ExportLogsServiceRequest>(["/v1/logs", ".LogsService/Export"]);
        let resources = requests.into_iter().flat_map(|request| request.resource_logs);
        resources.flat_map(|r| r.scope_logs).flat_map(|scope| scope.log_records).collect()
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let requests =
            self.of::<ExportMetricsServiceRequest>(["/v1/metrics", ".MetricsService/Export"]);
        let resources = requests.into_iter().flat_map(|request| request.resource_metrics);
        resources.flat_map(|r| r.scope_metrics).flat_map(|scope| scope.metrics).collect()
    }

    /// The attributes of the source of all spans.
    pub(crate) fn source(&self) -> Vec<KeyValue> {
        let requests = self.of::<ExportTraceServiceRequest>(["/v1/traces", ".TraceService/Export"]);
        let resources = requests.into_iter().flat_map(|request| request.resource_spans);
        resources.filter_map(|r| r.resource).flat_map(|r| r.attributes).collect()
    }
}

/// An attribute as text; empty if it is not there.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

fn tls() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(CERTIFICATE_KEY.as_bytes()).expect("PEM");
    let mut clients = RootCertStore::empty();
    clients.add(certificate.clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(clients.into(), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config).into()
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, kept: Arc<Kept>) {
    let Some(tls) = tls else {
        let mut first = [0; 4];
        let known = stream.peek(&mut first).await;
        let is_http2 = known.is_ok_and(|n| first.get(..n) == Some(b"PRI "));
        return serve_as(is_http2, stream, kept).await;
    };
    // A client without the certificate gets no further.
    let Ok(stream) = tls.accept(stream).await else { return };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    serve_as(is_http2, stream, kept).await;
}

async fn serve_as<S>(is_http2: bool, stream: S, kept: Arc<Kept>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let served = if is_http2 {
        serve_http2(stream, kept).await.map_err(io::Error::other)
    } else {
        serve_http(stream, kept).await
    };
    // The server may end in the middle of a connection.
    let _over = served;
}

async fn serve_http<S>(mut stream: S, kept: Arc<Kept>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let mut lines = head.lines();
        let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut export = Export { path: path.to_owned(), headers, body: Vec::new() };
        let length: usize = export.header("content-length").parse().unwrap_or(0);
        while read.len() < end + length {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        }
        export.body = read[end..end + length].to_vec();
        read.drain(..end + length);
        kept.keep(export);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}

/// What comes over HTTP/2: gRPC, and what a client would as well say over HTTP/1.1.
async fn serve_http2<S>(stream: S, kept: Arc<Kept>) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (request, mut answer) = call?;
        let kept = Arc::clone(&kept);
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut read = Vec::new();
            while let Some(Ok(bytes)) = body.data().await {
                read.extend_from_slice(&bytes);
                let _taken = body.flow_control().release_capacity(bytes.len());
            }
            let headers = head.headers.iter().map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            });
            let path = head.uri.path().to_owned();
            let mut export = Export { path, headers: headers.collect(), body: read };
            if export.header("content-type") != "application/grpc" {
                kept.keep(export);
                answer.send_response(Response::new(()), true)?;
                return Ok(());
            }
            let message = export.body.split_off(5);
            let frame = &export.body;
            let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
            assert_eq!((frame[0], &frame[1..]), (0, &length[..]), "a frame of gRPC");
            export.body = message;
            kept.keep(export);
            let response = Response::builder().header("content-type", "application/grpc");
            let Verdict { status, is_early } = kept.verdict;
            if is_early {
                let response = response.header("grpc-status", status).body(());
                answer.send_response(response.expect("a response"), true)?;
                return Ok(());
            }
            let response = response.body(()).expect("a response");
            let mut stream = answer.send_response(response, false)?;
            stream.send_data(vec![0; 5].into(), false)?;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().expect("a value"));
            stream.send_trailers(trailers)
        });
    }
    Ok(())
}
