//! Owns: one session over a runtime's port, from its setup to its last byte.

use std::io;
use std::time::Duration;

use futures_channel::oneshot;
use jiff::Timestamp;
use understudy_core::driver::Port;
use understudy_core::trace::Recorder;
use understudy_core::{Driver, ExitStatus, Machine, Now, Setup};

use crate::backend::Rest;
use crate::recording::{RecordingEnd, RecordingFile};
use crate::runtime::Runtime;
use crate::telemetry::Flush;

/// From the end of a session to the end of its recording, at most; then some of it is missing.
const RECORDING_LIMIT: Duration = Duration::from_secs(1);

/// What is still done when a session's port is gone.
#[derive(Debug)]
pub struct After<R: Runtime> {
    /// Answers to browsers.
    pub rest: Rest<R>,
    /// Measurements.
    pub flush: Flush<R>,
}

/// Runs a session to its end, recorded to a file if there is one, and waits for what is still done
/// then.
///
/// # Errors
///
/// The operating system gives no entropy, or no thread for the recording.
pub async fn run_session<R: Runtime>(
    setup: Setup,
    port: impl Port + Unpin,
    after: After<R>,
    recording: Option<RecordingFile>,
) -> io::Result<ExitStatus> {
    let now = Now::new(Duration::ZERO, Timestamp::now());
    let seed = crate::seed()?;
    let status = match recording {
        None => Driver::new(Machine::new(setup, seed, now), port).await,
        Some(file) => {
            let (notes, end) = file.start(&setup, seed, now)?;
            let machine = Recorder::new(setup, seed, now, notes);
            let status = Driver::recorded(machine, port).await;
            written::<R>(end).await;
            status
        }
    };
    after.rest.await;
    after.flush.await;
    Ok(status)
}

/// Waits for a recording's end on a thread that may block.
async fn written<R: Runtime>(end: RecordingEnd) {
    let (tell, written) = oneshot::channel();
    R::run_blocking(move || {
        let _gone = tell.send(end.finish(RECORDING_LIMIT));
    });
    if let Err(error) = written.await.unwrap_or_else(|gone| Err(io::Error::other(gone))) {
        tracing::warn!("the recording is not whole: {error}");
    }
}
