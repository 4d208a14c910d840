//! Reviews (protocol.md §4.7).

use serde::{Deserialize, Serialize};

use super::turn::Turn;

/// Params of `review/start`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReviewStartParams {
    /// Thread.
    pub thread_id: String,
    /// What to look at.
    pub target: ReviewTarget,
    /// Where the review runs; absent means inline.
    pub delivery: Option<ReviewDelivery>,
}

/// What a review looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum ReviewTarget {
    /// What is not committed yet.
    UncommittedChanges,
    /// What came after a branch.
    BaseBranch {
        /// The branch.
        branch: String,
    },
    /// One commit.
    Commit {
        /// The commit.
        sha: String,
        /// Its title, for people.
        title: Option<String>,
    },
    /// What the user says.
    Custom {
        /// What the user says.
        instructions: String,
    },
}

/// Where a review runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ReviewDelivery {
    /// In the thread itself.
    #[default]
    Inline,
    /// In a thread of its own.
    Detached,
}

/// Result of `review/start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReviewStartResponse {
    /// The review's turn, with the user's message.
    pub turn: Turn,
    /// The thread in which it runs.
    pub review_thread_id: String,
}
