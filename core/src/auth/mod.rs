//! The auth room.
