//! The wire: framing, the envelope, ids, the method table, replies and the protocol's types.

pub(crate) mod decode;
pub(crate) mod envelope;
pub(crate) mod framing;
#[cfg(feature = "sim")]
mod fuzz;
mod id;
pub mod legacy;
pub mod methods;
pub(crate) mod refusal;
pub(crate) mod reply;
pub mod response_item;
pub mod v2;

#[cfg(feature = "sim")]
pub use fuzz::{Taken, lines_of, taken_for};
pub use id::RequestId;

/// The version of the reference's protocol that is served; clients read it from the user agent.
pub const PROTOCOL_VERSION: &str = "0.94.0";
