#![doc = include_str!("../../../docs/testing-hosts.md")]

mod backend;
mod refresh;
mod stage;
mod story;

pub use backend::{Backend, Reply, Request};
pub use refresh::{Answer, RefreshAsked, Tokens};
pub use stage::{CWD, HOME, Stage, StageSetup};

pub use crate::world::backend::Events;
pub use crate::world::{Fault, MemoryKeyring};

/// The question to the host for new tokens.
const REFRESH: &str = "account/chatgptAuthTokens/refresh";
