//! Real programs, run through the port.
//!
//! Goal: what a program says and how it ends arrive whole and in bounds, and nothing of it is left
//! when it was killed, cancelled or its session is over. Method: small shell scripts that print the
//! numbers of their processes, which are then looked up.

#![cfg(target_os = "linux")]

mod ending;
mod landlock_alone;
mod output;
mod sandbox;
mod stage;
mod starting;
mod terminal;
