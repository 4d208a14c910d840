//! The model room: what goes to the model's backend and what comes back, as plain data.
//!
//! Requests ([`request`], [`headers`], [`context`]), the answer's stream ([`sse`], [`events`],
//! [`items`]), what went wrong ([`errors`], [`retry`]), what it cost ([`usage`],
//! [`rate_limits`]), which models and modes there are ([`catalogue`],
//! [`modes`]), and what is asked of a model that reviews or sums up ([`review`],
//! [`compact`]). No state of a turn lives here.

pub(crate) mod catalogue;
pub(crate) mod compact;
pub(crate) mod context;
pub(crate) mod errors;
pub(crate) mod events;
#[cfg(feature = "sim")]
mod fuzz;
pub(crate) mod headers;
pub(crate) mod items;
pub(crate) mod modes;
pub(crate) mod rate_limits;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod review;
pub(crate) mod rows;
mod shown;
pub(crate) mod sse;
pub(crate) mod usage;

#[cfg(feature = "sim")]
pub use fuzz::{events_of, is_event};
