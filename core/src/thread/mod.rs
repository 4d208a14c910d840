//! The thread room.
