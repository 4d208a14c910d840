//! What lies between the HTTP client and a server: TLS with an authority of one's own, HTTP/2,
//! proxies, connections that are kept.
//!
//! The client reads variables, and a test must not set those of its own process. So each test runs
//! once more as a process of its own, which gets [`URL`] twice and prints what it heard.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use http::Response;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use understudy_core::driver::Port;
use understudy_core::{Call, CallId, HttpRequest, Method};

use crate::backend::{Said, next};
use crate::subject::{Services, TestPort, port_of};

/// Names what the other process gets.
const URL: &str = "UNDERSTUDY_TEST_URL";

/// What stands before each line that it says.
const HEARD: &str = "heard: ";

/// Whether this is the other process; then it has done its work.
async fn is_client() -> bool {
    let Ok(url) = std::env::var(URL) else { return false };
    let mut port = port_of(Services::default());
    for id in [1, 2] {
        println!("{HEARD}{}", get(&mut port, CallId(id), &url).await);
    }
    true
}

async fn get(port: &mut TestPort, id: CallId, url: &str) -> String {
    let (method, url) = (Method::Get, url.to_owned());
    let (headers, body) = (Vec::new(), Vec::new());
    let (head_limit, total_limit) = (None, None);
    let request = HttpRequest { method, url, headers, body, head_limit, total_limit };
    port.start(id, Call::Http(request));
    let mut heard = String::new();
    loop {
        match next(port).await.1 {
            Said::Head(status, _) => heard = format!("{status} "),
            Said::Bytes(bytes) => heard.push_str(&String::from_utf8_lossy(&bytes)),
            Said::End => return heard,
            other => return format!("{other:?}"),
        }
    }
}

/// Runs test `name` as the other process, with these variables and none of the kind otherwise.
async fn client(name: &str, url: String, vars: Vec<(&'static str, String)>) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", &format!("network::{name}"), "--nocapture"]).env(URL, url);
    for name in ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(vars);
    let output = tokio::task::spawn_blocking(move || command.output().expect("run"));
    let output = output.await.expect("run");
    let text = String::from_utf8(output.stdout).expect("text");
    // The name of the test may stand before the first one.
    let heard = |line: &str| Some(line.split_once(HEARD)?.1.to_owned());
    text.lines().filter_map(heard).collect()
}

/// What servers have seen, in order.
type Seen = Arc<Mutex<Vec<String>>>;

fn note(seen: &Seen, what: impl Into<String>) {
    seen.lock().expect("whole").push(what.into());
}

fn noted(seen: &Seen) -> Vec<String> {
    seen.lock().expect("whole").clone()
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// The next head of a request; none when the connection ends.
async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("text").to_lowercase())
}

/// Answers every request of a connection with these words.
async fn answer_all(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    seen: Seen,
    words: &str,
) {
    note(&seen, "connection");
    while let Some(head) = read_head(&mut stream).await {
        note(&seen, head);
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{words}", words.len());
        stream.write_all(answer.as_bytes()).await.expect("sent");
        stream.flush().await.expect("sent");
    }
}

/// A server that has a certificate for `localhost`, which lies in a file.
struct Secure {
    port: u16,
    authority: tempfile::NamedTempFile,
    seen: Seen,
}

impl Secure {
    /// One that speaks this protocol of ALPN.
    async fn start(protocol: &'static str) -> Self {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let CertifiedKey { cert, signing_key } = made;
        let authority = tempfile::NamedTempFile::new().expect("a file");
        fs::write(&authority, cert.pem()).expect("written");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().expect("versions");
        let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
        let mut config = config.expect("a configuration");
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (listener, port) = listener().await;
        let seen = Seen::default();
        tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    // A client that does not trust it goes away.
                    let Ok(stream) = acceptor.accept(stream).await else { continue };
                    let seen = Arc::clone(&seen);
                    tokio::spawn(async move {
                        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                            answer_h2(stream, seen).await;
                        } else {
                            answer_all(stream, seen, "one").await;
                        }
                    });
                }
            }
        });
        Self { port, authority, seen }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/v1?key=hidden", self.port)
    }

    fn trusted(&self) -> (&'static str, String) {
        ("UNDERSTUDY_CA_FILE", self.authority.path().display().to_string())
    }
}

async fn answer_h2(stream: tokio_rustls::server::TlsStream<TcpStream>, seen: Seen) {
    note(&seen, "connection");
    let mut connection = h2::server::handshake(stream).await.expect("a connection");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        note(&seen, format!("{:?} {}", request.version(), request.uri().path()));
        let mut body = respond.send_response(Response::new(()), false).expect("sent");
        body.send_data("two".into(), true).expect("sent");
    }
}

#[tokio::test]
async fn an_authority_that_a_variable_names_is_trusted_and_the_connection_kept() {
    const NAME: &str = "an_authority_that_a_variable_names_is_trusted_and_the_connection_kept";
    if is_client().await {
        return;
    }
    let server = Secure::start("http/1.1").await;
    assert_eq!(client(NAME, server.url(), vec![server.trusted()]).await, ["200 one", "200 one"]);
    let seen = noted(&server.seen);
    assert_eq!(seen.iter().filter(|what| *what == "connection").count(), 1, "{seen:?}");
    let host = format!("host: localhost:{}\r\n", server.port);
    for part in ["get /v1?key=hidden http/1.1\r\n", "accept: */*\r\n", &host] {
        assert!(seen[1].contains(part), "{part} is not in {}", seen[1]);
    }
    assert!(!seen[1].contains("content-length"), "{}", seen[1]);
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_no_request() {
    const NAME: &str = "a_server_that_nobody_vouches_for_gets_no_request";
    if is_client().await {
        return;
    }
    let server = Secure::start("http/1.1").await;
    let heard = client(NAME, server.url(), Vec::new()).await;
    assert_eq!(heard.len(), 2);
    for said in heard {
        assert!(said.contains("Connect") && said.contains("error sending request: "), "{said}");
        assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{said}");
        assert!(!said.contains("hidden"), "{said}");
    }
    assert!(noted(&server.seen).is_empty());
}

#[tokio::test]
async fn a_server_may_choose_http_2() {
    const NAME: &str = "a_server_may_choose_http_2";
    if is_client().await {
        return;
    }
    let server = Secure::start("h2").await;
    assert_eq!(client(NAME, server.url(), vec![server.trusted()]).await, ["200 two", "200 two"]);
    assert_eq!(noted(&server.seen), ["connection", "HTTP/2.0 /v1", "HTTP/2.0 /v1"]);
}

#[tokio::test]
async fn a_proxy_tunnels_what_is_secure() {
    const NAME: &str = "a_proxy_tunnels_what_is_secure";
    if is_client().await {
        return;
    }
    let server = Secure::start("h2").await;
    let (listener, port) = listener().await;
    let (seen, to) = (Seen::default(), server.port);
    tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            note(&seen, read_head(&mut stream).await.expect("a head"));
            let mut server = TcpStream::connect(("127.0.0.1", to)).await.expect("a connection");
            stream.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").await.expect("sent");
            // Ends with either of them.
            let _over = copy_bidirectional(&mut stream, &mut server).await;
        }
    });
    let proxy = ("HTTPS_PROXY", format!("http://ann:top@127.0.0.1:{port}"));
    let heard = client(NAME, server.url(), vec![server.trusted(), proxy]).await;
    assert_eq!(heard, ["200 two", "200 two"]);
    let head = noted(&seen).concat();
    assert!(head.starts_with(&format!("connect localhost:{to} http/1.1\r\n")), "{head}");
    assert!(head.contains("proxy-authorization: basic yw5uonrvca==\r\n"), "{head}");
    assert!(!head.contains("hidden"), "{head}");
}

#[tokio::test]
async fn a_proxy_gets_plain_requests_whole() {
    const NAME: &str = "a_proxy_gets_plain_requests_whole";
    if is_client().await {
        return;
    }
    let (listener, port) = listener().await;
    let seen = Seen::default();
    tokio::spawn({
        let seen = Arc::clone(&seen);
        async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            answer_all(stream, seen, "proxied").await;
        }
    });
    let proxy = ("HTTP_PROXY", format!("http://ann:top@127.0.0.1:{port}"));
    let url = "http://bob:p%40ss@understudy.invalid/v1".to_owned();
    assert_eq!(client(NAME, url, vec![proxy]).await, ["200 proxied", "200 proxied"]);
    let seen = noted(&seen);
    assert_eq!(seen.len(), 3, "one connection: {seen:?}");
    for part in [
        "get http://understudy.invalid/v1 http/1.1\r\n",
        "proxy-authorization: basic yw5uonrvca==\r\n",
        "authorization: basic ym9ionbac3m=\r\n",
        "host: understudy.invalid\r\n",
    ] {
        assert!(seen[1].contains(part), "{part} is not in {}", seen[1]);
    }
}
