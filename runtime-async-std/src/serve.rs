//! Owns: serving one host from setup to exit.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite, Stream};
use jiff::Timestamp;
use understudy_core::files::{Files, Keyring};
use understudy_core::{Driver, ExitStatus, Machine, Now, Setup, Signal};
use understudy_std::program::Programs;
use understudy_std::{OsFiles, OsKeyring, RecentLogs, Refresher};

use crate::http::Http;
use crate::port::AsyncStdPort;

/// What asks a session to end, as it comes. A receiver of any channel will do.
pub type Signals = Pin<Box<dyn Stream<Item = Signal> + Send>>;

/// The two directions of a host's connection.
#[derive(Debug)]
pub struct Streams<R, W> {
    /// From the host; its end is the end of the session.
    pub reader: R,
    /// To the host.
    pub writer: W,
}

/// What a session works with, beside its streams.
pub struct Services {
    /// The HTTP client; clone one for all sessions to share its connections.
    pub http: Http,
    /// Where files are.
    pub files: Arc<dyn Files>,
    /// Where secrets are, for users who keep their credentials there.
    pub keyring: Arc<dyn Keyring>,
    /// Starts programs; clone one for all sessions.
    pub programs: Programs,
    /// Answers token refreshes of a setup with [`understudy_core::Refresh::Embedder`].
    pub refresher: Option<Refresher>,
    /// The last lines of the log, for users who send feedback with them.
    pub logs: RecentLogs,
    /// Asks the session to end.
    pub signals: Option<Signals>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            http: Http::new(),
            files: Arc::new(OsFiles),
            keyring: Arc::new(OsKeyring::default()),
            programs: Programs::new(),
            refresher: None,
            logs: RecentLogs::new(),
            signals: None,
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("http", &self.http).finish_non_exhaustive()
    }
}

/// Serves one host until it ends, with services of its own. Runs on any executor; dropping the
/// future ends the session at once.
///
/// # Errors
///
/// The operating system gives no entropy.
pub async fn serve<R, W>(setup: Setup, streams: Streams<R, W>) -> io::Result<ExitStatus>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    serve_with(setup, streams, Services::default()).await
}

/// Like [`serve`], with services that may be shared with other sessions.
///
/// # Errors
///
/// The operating system gives no entropy.
pub async fn serve_with<R, W>(
    setup: Setup,
    streams: Streams<R, W>,
    services: Services,
) -> io::Result<ExitStatus>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let port = AsyncStdPort::new(streams, services);
    let (rest, flush) = (port.rest(), port.flush());
    let now = Now::new(Duration::ZERO, Timestamp::now());
    let machine = Machine::new(setup, understudy_std::seed()?, now);
    let status = Driver::new(machine, port).await;
    rest.await;
    flush.await;
    Ok(status)
}
