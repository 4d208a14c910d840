//! Owns: the promise that a process whose host is gone ends, whatever else happens.

use std::process;
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use crate::program::Programs;

/// From the end of input, or a signal, to the end of the process; more than the machine's own
/// grace and the driver's last flush together.
const WATCHDOG_LIMIT: Duration = Duration::from_secs(2);

/// Ends the process a fixed time after it is first armed, from a thread of its own: also when the
/// server's thread hangs.
///
/// Clones arm the same one.
#[derive(Clone, Debug)]
pub struct Watchdog {
    once: Arc<Once>,
    programs: Programs,
}

impl Watchdog {
    /// A watchdog that sleeps, and ends these with the process.
    pub fn new(programs: Programs) -> Self {
        Self { once: Arc::new(Once::new()), programs }
    }

    /// Ends the process, and with it the programs that it started.
    pub fn exit(&self, status: i32) -> ! {
        self.programs.kill_all();
        process::exit(status)
    }

    /// Starts the time, if it does not run yet.
    pub fn arm(&self) {
        self.once.call_once(|| {
            let watchdog = self.clone();
            let bite = move || {
                thread::sleep(WATCHDOG_LIMIT);
                tracing::warn!("the time for ending is over");
                watchdog.exit(0);
            };
            if let Err(error) = thread::Builder::new().name("watchdog".into()).spawn(bite) {
                tracing::error!("no thread for the watchdog: {error}");
            }
        });
    }

    /// One that never bites, for a program that has more to do than to serve one host.
    pub fn tame() -> Self {
        let tame = Self::new(Programs::new());
        tame.once.call_once(|| {});
        tame
    }
}
