//! Owns: the last lines of the log, kept for users who send feedback with them.
//!
//! Invariant: never more than [`LOG_BYTES_MAX`], and always whole lines.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use understudy_core::limits::LOG_BYTES_MAX;

/// The last lines that were written to it. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RecentLogs {
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl RecentLogs {
    /// Nothing was logged yet. Takes no memory until something is.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that is kept.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.lock().iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One write is one line of the log.
impl io::Write for RecentLogs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > LOG_BYTES_MAX {
            return Ok(line.len());
        }
        let mut kept = self.lock();
        while kept.len() + line.len() > LOG_BYTES_MAX {
            let end = kept.iter().position(|byte| *byte == b'\n');
            let end = end.map_or(kept.len(), |end| end + 1);
            kept.drain(..end);
        }
        kept.extend(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_oldest_lines_go_and_those_kept_are_whole() {
        let mut logs = RecentLogs::new();
        for n in 0..LOG_BYTES_MAX / 8 {
            writeln!(logs, "line {n:06}").expect("kept");
        }
        logs.write_all(&vec![b'x'; LOG_BYTES_MAX + 1]).expect("left out");
        let text = logs.text();
        assert!(text.len() <= LOG_BYTES_MAX && text.len() > LOG_BYTES_MAX - 100);
        assert!(text.starts_with("line ") && text.lines().all(|line| line.len() == 11));
        let last = format!("line {:06}\n", LOG_BYTES_MAX / 8 - 1);
        assert!(text.ends_with(&last));
    }
}
