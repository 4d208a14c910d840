//! What may run: approval policy, sandbox, rules and the words of a command in one decision table
//! (engine.md §4).
//!
//! Owns: the table ([`decide`], [`decide_patch`], [`after_denial`]), what it says of one command
//! with the texts for user and model ([`command_ruling`]), where a sandbox lets commands write
//! ([`SandboxPlan`]), and what the user approved for the session ([`SessionApprovals`]).
//!
//! Invariants: nothing runs with more rights than the table grants. What is dangerous never runs
//! unasked unless a rule of the user's allows it. A sandbox is left only if every plain command of a
//! script is allowed by a rule, or the user was asked for just that.

mod command;
mod denial;
pub(crate) mod rows;
mod sandbox;
mod session;
pub(crate) mod table;

pub use command::{
    COMMAND_DECLINED, CommandRequest, CommandRuling, CommandTool, PATCH_DECLINED, RETRY_REASON,
    command_case, command_ruling,
};
pub use denial::looks_denied;
pub use sandbox::{SandboxPlan, WritableRoot, Writes};
pub use session::{CommandKey, SessionApprovals};
pub use table::{
    Case, Escalation, Finding, PatchReach, Refusal, Retry, Rights, Ruling, after_denial, decide,
    decide_patch, sandbox_kind,
};
