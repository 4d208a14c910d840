//! The thread room.

pub mod index;
pub mod list;
pub mod rollout;
pub mod stored;
