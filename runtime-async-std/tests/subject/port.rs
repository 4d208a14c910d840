// The runtime that the tests are about; see the file of this name beside the one on tokio.

use futures_lite::io::{Empty, Sink, empty, sink};
use understudy_async_std::{AsyncStdPort, Streams};

pub(crate) use understudy_async_std::Services;

/// A port without a host.
pub(crate) type TestPort = AsyncStdPort<Empty, Sink>;

pub(crate) fn port_of(services: Services) -> TestPort {
    AsyncStdPort::new(Streams { reader: empty(), writer: sink() }, services)
}
