//! Events of work with other agents. Snake case.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event_part::AgentStatus;

/// An agent is being started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabAgentSpawnBeginEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that starts it.
    pub sender_thread_id: String,
    /// What it is told.
    pub prompt: String,
}

/// An agent was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabAgentSpawnEndEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that starts it.
    pub sender_thread_id: String,
    /// Its thread; none if it was not started.
    pub new_thread_id: Option<String>,
    /// What it is told.
    pub prompt: String,
    /// How it is.
    pub status: AgentStatus,
}

/// An agent is being told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabAgentInteractionBeginEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that speaks.
    pub sender_thread_id: String,
    /// The thread that is spoken to.
    pub receiver_thread_id: String,
    /// What it is told.
    pub prompt: String,
}

/// An agent was told something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabAgentInteractionEndEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that speaks.
    pub sender_thread_id: String,
    /// The thread that is spoken to.
    pub receiver_thread_id: String,
    /// What it is told.
    pub prompt: String,
    /// How it is.
    pub status: AgentStatus,
}

/// The end of agents is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabWaitingBeginEvent {
    /// The thread that waits.
    pub sender_thread_id: String,
    /// The threads that it waits for.
    pub receiver_thread_ids: Vec<String>,
    /// The call of the tool.
    pub call_id: String,
}

/// The end of agents was waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabWaitingEndEvent {
    /// The thread that waits.
    pub sender_thread_id: String,
    /// The call of the tool.
    pub call_id: String,
    /// How they are, by thread id.
    pub statuses: BTreeMap<String, AgentStatus>,
}

/// An agent is being closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabCloseBeginEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that closes it.
    pub sender_thread_id: String,
    /// Its thread.
    pub receiver_thread_id: String,
}

/// An agent was closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollabCloseEndEvent {
    /// The call of the tool.
    pub call_id: String,
    /// The thread that closes it.
    pub sender_thread_id: String,
    /// Its thread.
    pub receiver_thread_id: String,
    /// How it was.
    pub status: AgentStatus,
}
