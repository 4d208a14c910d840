//! What the process takes of the machine.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One look at the process.
pub(crate) struct Load {
    /// Memory in RAM, in KiB.
    resident: usize,
    /// The most that it ever was, in KiB.
    resident_max: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Open descriptors.
    descriptors: usize,
    /// Time of processors so far, of all threads.
    pub(crate) cpu: Duration,
}

/// How the system counts time of processors: hundreds of a second, on all that are served.
const TICK: Duration = Duration::from_millis(10);

impl Load {
    pub(crate) fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let figure = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| io::Error::other(format!("the system does not tell {name}")))
        };
        // Behind the name in parentheses, which may hold blanks; the 14th and 15th of all fields.
        let times = fs::read_to_string("/proc/self/stat")?;
        let times = times.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u32 = times.skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        Ok(Self {
            cpu: TICK * ticks,
            resident: figure("VmRSS:")?,
            resident_max: figure("VmHWM:")?,
            threads: figure("Threads:")?,
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
        })
    }
}

/// What so many sessions have added.
pub(crate) fn report(stage: &str, sessions: usize, before: &Load, now: &Load) {
    let each = |kib: usize| kib.saturating_sub(before.resident) as f64 / sessions as f64;
    println!(
        "{stage}: {:.1} KiB a session (at most {:.1}), {} threads, {} descriptors",
        each(now.resident),
        each(now.resident_max),
        now.threads,
        now.descriptors
    );
}

/// Lets the process have as many descriptors as it may, and says how many.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}
