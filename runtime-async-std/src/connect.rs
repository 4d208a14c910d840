//! Owns: from a URL to a stream of bytes: addresses of a name, proxies, TLS.
//!
//! Proxies are those of the usual variables, as the client on tokio has them: a plain request goes
//! to the proxy whole, a secure one through a tunnel.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncWrite, FutureExt};
use futures_rustls::TlsConnector;
use futures_rustls::pki_types::ServerName;
use futures_rustls::rustls::ClientConfig;
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{self, Connected};
use hyper_util::client::proxy::matcher::Matcher;
use smol_hyper::rt::FuturesIo;
use tower_service::Service;

/// The transport's own limit for a connection, where the request sets none. Without it the
/// operating system tries for two minutes and more.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// After so long without an answer from one address of a name the next one is tried beside it.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

type Failure = Box<dyn Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Both directions of a connection.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Stream = FuturesIo<Box<dyn Duplex>>;

/// Makes connections for the HTTP client.
#[derive(Clone)]
pub(crate) struct Connector {
    proxies: Arc<Matcher>,
    /// To servers, which may choose HTTP/2.
    tls: TlsConnector,
    /// To proxies.
    tls_to_proxy: TlsConnector,
}

impl Connector {
    pub(crate) fn new(proxies: Arc<Matcher>, tls: ClientConfig) -> Self {
        let mut tls_to_proxy = tls.clone();
        tls_to_proxy.alpn_protocols.clear();
        Self { proxies, tls: Arc::new(tls).into(), tls_to_proxy: Arc::new(tls_to_proxy).into() }
    }

    async fn connect(self, server: Uri) -> Result<Connection, Failure> {
        let proxy = self.proxies.intercept(&server);
        if !is_secure(&server) {
            let is_proxied = proxy.is_some();
            let stream = match proxy {
                Some(proxy) => self.to_proxy(proxy.uri().clone()).await?,
                None => tcp(&server).await?,
            };
            return Ok(Connection { stream, is_proxied, is_h2: false });
        }
        let stream = match proxy {
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), ToProxy(self.clone()));
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.call(server.clone()).await?
            }
            None => tcp(&server).await?,
        };
        let stream = self.tls.connect(name(&server)?, stream.into_inner()).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Connection { stream: boxed(stream), is_proxied: false, is_h2 })
    }

    async fn to_proxy(&self, proxy: Uri) -> Result<Stream, Failure> {
        match proxy.scheme_str() {
            Some("http") => tcp(&proxy).await,
            Some("https") => {
                let stream = tcp(&proxy).await?.into_inner();
                Ok(boxed(self.tls_to_proxy.connect(name(&proxy)?, stream).await?))
            }
            _ => Err("a proxy of a kind that is not supported".into()),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = Failure;
    type Future = Connecting<Connection>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let late = async {
            Timer::after(CONNECT_LIMIT).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "operation timed out").into())
        };
        Box::pin(self.clone().connect(server).or(late))
    }
}

/// The same for what a tunnel stands on.
struct ToProxy(Connector);

impl Service<Uri> for ToProxy {
    type Response = Stream;
    type Error = Failure;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move { connector.to_proxy(proxy).await })
    }
}

fn boxed(stream: impl Duplex + 'static) -> Stream {
    FuturesIo::new(Box::new(stream))
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// The host, without the brackets of an address.
fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

fn name(uri: &Uri) -> Result<ServerName<'static>, Failure> {
    Ok(ServerName::try_from(host(uri).to_owned())?)
}

async fn tcp(uri: &Uri) -> Result<Stream, Failure> {
    let port = uri.port_u16().unwrap_or(if is_secure(uri) { 443 } else { 80 });
    let stream = first_of(in_turns(addresses(host(uri), port).await?)).await?;
    stream.get_ref().set_nodelay(true)?;
    Ok(boxed(stream))
}

/// Looked up on a thread that may block.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let host = host.to_owned();
    blocking::unblock(move || Ok((host, port).to_socket_addrs()?.collect())).await
}

/// The two kinds of addresses in turns, so that a network without one of them is noticed early.
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(same.next());
        turns.extend(other.next());
        if turns.len() == before {
            return turns;
        }
    }
}

type Trying = Pin<Box<dyn Future<Output = io::Result<Async<TcpStream>>> + Send>>;

/// The first connection that is made; one address is tried after the other, each as soon as the
/// ones before have failed or taken too long.
async fn first_of(addresses: Vec<SocketAddr>) -> io::Result<Async<TcpStream>> {
    let mut left = addresses.into_iter();
    let mut tries: Vec<Trying> = Vec::new();
    let mut next = Timer::never();
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    poll_fn(move |cx| {
        loop {
            let mut at = 0;
            while let Some(attempt) = tries.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(failed)) => {
                        error = failed;
                        drop(tries.remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            if !tries.is_empty() && Pin::new(&mut next).poll(cx).is_pending() {
                return Poll::Pending;
            }
            match left.next() {
                Some(address) => {
                    tries.push(Box::pin(Async::<TcpStream>::connect(address)));
                    next.set_after(NEXT_ADDRESS);
                }
                None if tries.is_empty() => {
                    let nothing = io::Error::from(io::ErrorKind::NotFound);
                    return Poll::Ready(Err(std::mem::replace(&mut error, nothing)));
                }
                None => next = Timer::never(),
            }
        }
    })
    .await
}

/// A connection, and what the client wants to know of it.
pub(crate) struct Connection {
    stream: Stream,
    /// A plain request goes to the proxy with its whole URL.
    is_proxied: bool,
    is_h2: bool,
}

impl connect::Connection for Connection {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use async_std::task;

    use super::*;

    #[test]
    fn the_kinds_of_addresses_take_turns_and_the_first_stays_first() {
        let all = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let given = all(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(in_turns(given), all(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(in_turns(Vec::new()), Vec::new());
    }

    #[test]
    fn an_address_that_refuses_or_is_silent_is_passed_over() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let good = server.local_addr().expect("an address");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one");
        // For documentation: nobody answers there.
        let silent = "192.0.2.1:9".parse().expect("an address");
        let began = Instant::now();
        let stream = task::block_on(first_of(vec![free, silent, good])).expect("a connection");
        assert_eq!(stream.get_ref().peer_addr().expect("a peer"), good);
        assert!(began.elapsed() < NEXT_ADDRESS * 8, "{:?}", began.elapsed());
        let refused = task::block_on(first_of(vec![free, free])).expect_err("nobody");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(task::block_on(first_of(Vec::new())).is_err());
    }
}
