//! The thread room.

pub mod instructions;
