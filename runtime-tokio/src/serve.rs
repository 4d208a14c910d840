//! Owns: serving one host from setup to exit.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use understudy_core::files::{Files, Keyring};
use understudy_core::{ExitStatus, Setup, Signal};
use understudy_std::program::Programs;
use understudy_std::{OsFiles, OsKeyring, RecentLogs, RecordingFile, Refresher, run_session};

use crate::http::Http;
use crate::port::TokioPort;

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
    pub signals: Option<mpsc::Receiver<Signal>>,
    /// Where the session is recorded to, if it is.
    pub recording: Option<RecordingFile>,
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
            recording: None,
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("http", &self.http).finish_non_exhaustive()
    }
}

/// Serves one host until it ends, with services of its own. Must run on a tokio runtime with IO
/// and time; dropping the future ends the session at once.
///
/// # Errors
///
/// The operating system gives no entropy.
pub fn serve<R, W>(
    setup: Setup,
    streams: Streams<R, W>,
) -> impl Future<Output = io::Result<ExitStatus>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    serve_with(setup, streams, Services::default())
}

/// Like [`serve`], with services that may be shared with other sessions.
///
/// # Errors
///
/// The operating system gives no entropy, or no thread for a recording.
// An `async fn` would hold what it hands on a second time.
pub fn serve_with<R, W>(
    setup: Setup,
    streams: Streams<R, W>,
    mut services: Services,
) -> impl Future<Output = io::Result<ExitStatus>>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let recording = services.recording.take();
    let port = TokioPort::new(streams, services);
    let after = port.after();
    run_session(setup, port, after, recording)
}
