//! The wire room.

pub mod legacy;
pub mod response_item;
pub mod v2;
