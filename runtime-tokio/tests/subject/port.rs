// The runtime that the tests are about. The one on async-std has the same tests, and a file of its
// own in the place of this one.

use tokio::io::{Empty, Sink, empty, sink};
use understudy_tokio::{Streams, TokioPort};

pub(crate) use understudy_tokio::Services;

/// A port without a host.
pub(crate) type TestPort = TokioPort<Empty, Sink>;

pub(crate) fn port_of(services: Services) -> TestPort {
    TokioPort::new(Streams { reader: empty(), writer: sink() }, services)
}
