//! Owns: the server's side of the helper.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use understudy_core::approval::{SandboxPlan, Writes};
use understudy_core::{ProcessFailure, ProcessFailureKind as Kind, ProcessRequest, Stdio};

use super::HELPER_NAME;
use super::order::Order;
use super::stand_in::StandIn;
use super::view::View;
use crate::program::failure;

/// What a helper says first; a program that is none waits for something else.
pub(super) const HELLO: u8 = b'h';

/// Time for a helper to become the program. It takes a few milliseconds.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Text of a failure that is read; the rest is cut off.
const FAILURE_BYTES_MAX: u64 = 4096;

/// A program that the helper is to become.
pub(crate) struct Confined {
    order: Order,
    stand_ins: Vec<StandIn>,
    link: UnixStream,
}

impl Confined {
    /// What to start in the place of `request`, but for its standard output and errors. Looks at
    /// the files.
    pub(crate) fn new(
        request: &ProcessRequest,
        plan: &SandboxPlan,
        helper: Option<&Path>,
    ) -> Result<(Self, Command), ProcessFailure> {
        let Some(helper) = helper else {
            let text = "the program around this server has no sandbox to offer";
            return Err(failure(Kind::NoSandbox, &text));
        };
        let no_sandbox = |error: io::Error| {
            failure(Kind::NoSandbox, &format!("no sandbox: the folders cannot be used: {error}"))
        };
        let (view, stand_ins) = match &plan.writes {
            Writes::Everything => (None, Vec::new()),
            Writes::Within(roots) => {
                let (view, stand_ins) = View::new(roots).map_err(no_sandbox)?;
                (Some(view), stand_ins)
            }
        };
        let env = request.env.0.iter().map(|(name, value)| (name.into(), value.into()));
        let order = Order {
            argv: request.argv.iter().map(OsString::from).collect(),
            env: env.collect(),
            cwd: request.cwd.clone(),
            has_terminal: matches!(request.stdio, Stdio::Terminal { .. }),
            network: plan.network,
            view,
        };
        let (link, end) = UnixStream::pair().map_err(|error| failure(Kind::Other, &error))?;
        let mut command = Command::new(helper);
        command.arg0(HELPER_NAME).env_clear().current_dir("/").stdin(OwnedFd::from(end));
        Ok((Self { order, stand_ins, link }, command))
    }

    /// Tells the helper what to become, and waits until it is. What it gives back is kept while
    /// any of the program runs.
    pub(crate) fn begin(mut self) -> Result<Vec<StandIn>, ProcessFailure> {
        let silent = |error: io::Error| {
            let text = format!("no sandbox: the helper does not answer: {error}");
            failure(Kind::NoSandbox, &text)
        };
        let limit = Some(START_LIMIT);
        self.link.set_read_timeout(limit).map_err(silent)?;
        self.link.set_write_timeout(limit).map_err(silent)?;
        let mut hello = [0];
        self.link.read_exact(&mut hello).map_err(silent)?;
        if hello != [HELLO] {
            return Err(silent(io::ErrorKind::InvalidData.into()));
        }
        self.order.write(&mut self.link).map_err(silent)?;
        self.link.shutdown(Shutdown::Write).map_err(silent)?;
        match read_failure(&mut self.link).map_err(silent)? {
            None => Ok(self.stand_ins),
            Some(failure) => Err(failure),
        }
    }
}

const KINDS: [(u8, Kind); 4] =
    [(b'P', Kind::Program), (b'F', Kind::Folder), (b'S', Kind::NoSandbox), (b'O', Kind::Other)];

pub(super) fn write_failure(to: &mut impl Write, failure: &ProcessFailure) -> io::Result<()> {
    let letter = KINDS.iter().find(|(_, kind)| *kind == failure.kind).map_or(b'O', |(l, _)| *l);
    let mut bytes = vec![letter];
    bytes.extend(failure.text.bytes());
    to.write_all(&bytes)
}

fn read_failure(from: &mut impl Read) -> io::Result<Option<ProcessFailure>> {
    let mut bytes = Vec::new();
    from.take(FAILURE_BYTES_MAX).read_to_end(&mut bytes)?;
    let Some((letter, text)) = bytes.split_first() else { return Ok(None) };
    let kind = KINDS.iter().find(|(l, _)| l == letter).map_or(Kind::Other, |(_, kind)| *kind);
    Ok(Some(failure(kind, &String::from_utf8_lossy(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_as_they_were_written() {
        for (_, kind) in KINDS {
            let written = failure(kind, &"No such file or directory (os error 2)");
            let mut bytes = Vec::new();
            write_failure(&mut bytes, &written).expect("written");
            assert_eq!(read_failure(&mut bytes.as_slice()).expect("read"), Some(written));
        }
        assert_eq!(read_failure(&mut b"".as_slice()).expect("read"), None);
    }
}
