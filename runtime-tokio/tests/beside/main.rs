//! What the binary `understudy` does that is no server: its demo, and commands for people.

mod commands;
mod demo;
mod replay;
