// The standard streams that the tests are about.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use understudy_std::Watchdog;
use understudy_tokio::host::{HostInput, HostOutput};

pub(crate) fn input(fd: OwnedFd) -> HostInput {
    HostInput::over(fd, Watchdog::tame()).expect("a stream")
}

pub(crate) fn output(fd: OwnedFd) -> HostOutput {
    HostOutput::over(fd, Watchdog::tame()).expect("a stream")
}

/// In pieces, as the driver does.
pub(crate) async fn read_to_end(input: &mut HostInput) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

pub(crate) async fn write_all(output: &mut HostOutput, bytes: &[u8]) -> io::Result<()> {
    output.write_all(bytes).await
}
