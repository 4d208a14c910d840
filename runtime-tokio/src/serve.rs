//! Owns: serving one host from setup to exit.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use understudy_core::files::{Files, Keyring};
use understudy_core::trace::Recorder;
use understudy_core::{Driver, ExitStatus, Machine, Now, Setup, Signal};
use understudy_std::program::Programs;
use understudy_std::{OsFiles, OsKeyring, RecentLogs, RecordingFile, Refresher};

use crate::http::Http;
use crate::port::TokioPort;

/// From the end of a session to the end of its recording, at most; then some of it is missing.
const RECORDING_LIMIT: Duration = Duration::from_secs(1);

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
/// The operating system gives no entropy, or no thread for a recording.
pub async fn serve_with<R, W>(
    setup: Setup,
    streams: Streams<R, W>,
    mut services: Services,
) -> io::Result<ExitStatus>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let recording = services.recording.take();
    let port = TokioPort::new(streams, services);
    let (rest, flush) = (port.rest(), port.flush());
    let now = Now::new(Duration::ZERO, Timestamp::now());
    let seed = understudy_std::seed()?;
    let status = match recording {
        None => Driver::new(Machine::new(setup, seed, now), port).await,
        Some(file) => {
            let (notes, end) = file.start(&setup, seed, now)?;
            let machine = Recorder::new(setup, seed, now, notes);
            let status = Driver::recorded(machine, port).await;
            let written = spawn_blocking(|| end.finish(RECORDING_LIMIT)).await;
            if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
                tracing::warn!("the recording is not whole: {error}");
            }
            status
        }
    };
    rest.await;
    flush.await;
    Ok(status)
}
