//! The place of a runtime on async-std, for hosts that are built on it. There is nothing here yet;
//! use `understudy-tokio`.
//!
//! async-std itself is discontinued upstream (RUSTSEC-2025-0052). It will be used in this crate and
//! nowhere else, so that it can be taken out by taking out the crate.
