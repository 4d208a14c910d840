//! Approvals in the older spelling, and what they show (protocol.md §6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::ThreadId;
use crate::wire::v2::item::CommandAction;

/// Params of the request `execCommandApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecCommandApprovalParams {
    /// Thread.
    pub conversation_id: ThreadId,
    /// The call of the tool.
    pub call_id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it would run.
    pub cwd: String,
    /// Why it is asked.
    pub reason: Option<String>,
    /// What it would do, as far as can be told.
    pub parsed_cmd: Vec<ParsedCommand>,
}

/// The client's answer to `execCommandApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecCommandApprovalResponse {
    /// The decision.
    pub decision: ReviewDecision,
}

/// Params of the request `applyPatchApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ApplyPatchApprovalParams {
    /// Thread.
    pub conversation_id: ThreadId,
    /// The call of the tool.
    pub call_id: String,
    /// What would change, by path.
    pub file_changes: BTreeMap<String, FileChange>,
    /// Why it is asked.
    pub reason: Option<String>,
    /// A directory that could be opened for writing.
    pub grant_root: Option<String>,
}

/// The client's answer to `applyPatchApproval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApplyPatchApprovalResponse {
    /// The decision.
    pub decision: ReviewDecision,
}

/// What the user decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReviewDecision {
    /// Do it.
    Approved,
    /// Do it, and allow what begins like it from now on.
    ApprovedExecpolicyAmendment {
        /// The beginning.
        proposed_execpolicy_amendment: Vec<String>,
    },
    /// Do it, and do not ask again for the same.
    ApprovedForSession,
    /// Do not do it; the turn goes on.
    Denied,
    /// Do not do it, and interrupt the turn.
    Abort,
}

/// What a command does, as far as can be told from its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ParsedCommand {
    /// Shows a file.
    Read {
        /// The command.
        cmd: String,
        /// The file's name.
        name: String,
        /// The file's path.
        path: String,
    },
    /// Lists files.
    ListFiles {
        /// The command.
        cmd: String,
        /// Where.
        path: Option<String>,
    },
    /// Searches in files.
    Search {
        /// The command.
        cmd: String,
        /// What for.
        query: Option<String>,
        /// Where.
        path: Option<String>,
    },
    /// Something else.
    Unknown {
        /// The command.
        cmd: String,
    },
}

impl From<CommandAction> for ParsedCommand {
    fn from(action: CommandAction) -> Self {
        match action {
            CommandAction::Read { command, name, path } => Self::Read { cmd: command, name, path },
            CommandAction::ListFiles { command, path } => Self::ListFiles { cmd: command, path },
            CommandAction::Search { command, query, path } => {
                Self::Search { cmd: command, query, path }
            }
            CommandAction::Unknown { command } => Self::Unknown { cmd: command },
        }
    }
}

impl From<ParsedCommand> for CommandAction {
    fn from(parsed: ParsedCommand) -> Self {
        match parsed {
            ParsedCommand::Read { cmd, name, path } => Self::Read { command: cmd, name, path },
            ParsedCommand::ListFiles { cmd, path } => Self::ListFiles { command: cmd, path },
            ParsedCommand::Search { cmd, query, path } => {
                Self::Search { command: cmd, query, path }
            }
            ParsedCommand::Unknown { cmd } => Self::Unknown { command: cmd },
        }
    }
}

/// What happens to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FileChange {
    /// It is new.
    Add {
        /// Its content.
        content: String,
    },
    /// It goes.
    Delete {
        /// What it was.
        content: String,
    },
    /// It changes.
    Update {
        /// How.
        unified_diff: String,
        /// Where it moves to.
        move_path: Option<String>,
    },
}
