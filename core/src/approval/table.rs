//! The decision table.

use crate::config::kinds::{AskForApproval, SandboxKind};
use crate::wire::v2::common::SandboxPolicy;

/// All that decides about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// When the user wants to be asked.
    pub policy: AskForApproval,
    /// The sandbox that commands run in.
    pub sandbox: SandboxKind,
    /// What rules and words say of the command.
    pub finding: Finding,
    /// What the model asks for.
    pub escalation: Escalation,
}

/// What rules and words say of a command; of a script, the worst that they say of any of its plain
/// commands. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Rules allow every plain command of it.
    Allowed,
    /// It only reads.
    Safe,
    /// Nothing is known of it.
    Unknown,
    /// It is known to be dangerous.
    Dangerous,
    /// A rule says to ask.
    Prompted,
    /// A rule forbids it.
    Forbidden,
}

impl Finding {
    /// Each of them, the best first.
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::Safe,
        Self::Unknown,
        Self::Dangerous,
        Self::Prompted,
        Self::Forbidden,
    ];
}

/// What the model asks for with a command (`sandbox_permissions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Escalation {
    /// To run it in the sandbox.
    #[default]
    None,
    /// To run it outside.
    Required,
}

/// What becomes of a command or patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It runs unasked.
    Run(Rights),
    /// The user is asked, and it runs if they agree.
    Ask(Rights),
    /// It does not run.
    Refuse(Refusal),
}

/// What a command may do while it runs. More is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// What the sandbox policy says.
    Sandboxed,
    /// Whatever the server itself may.
    Free,
}

/// Why something does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A rule forbids it.
    Forbidden,
    /// It is dangerous, and nobody may be asked.
    Blocked,
    /// A rule says to ask, and nobody may be asked.
    MayNotAsk,
    /// The model may not ask to leave the sandbox under this policy.
    Escalation,
    /// The patch writes where nothing may be written, and nobody may be asked.
    OutsideProject,
    /// The patch changes nothing.
    EmptyPatch,
}

/// The table for commands (engine.md §4.1, §4.3).
///
/// Safer than the reference: what is only known to read stays in the sandbox also when the model
/// asks to leave it, because nobody agreed to that.
pub fn decide(case: Case) -> Ruling {
    use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
    let Case { policy, sandbox, finding, escalation } = case;
    let escalated = escalation == Escalation::Required;
    if escalated && policy != OnRequest {
        return Ruling::Refuse(Refusal::Escalation);
    }
    let own = own_rights(sandbox);
    let wanted = if escalated { Rights::Free } else { own };
    match (finding, policy) {
        (Finding::Forbidden, _) => Ruling::Refuse(Refusal::Forbidden),
        (Finding::Prompted, Never) => Ruling::Refuse(Refusal::MayNotAsk),
        (Finding::Dangerous, Never) => Ruling::Refuse(Refusal::Blocked),
        (Finding::Prompted | Finding::Dangerous, _) => Ruling::Ask(wanted),
        (Finding::Allowed, _) => Ruling::Run(Rights::Free),
        (Finding::Safe, _) => Ruling::Run(own),
        (Finding::Unknown, Untrusted) => Ruling::Ask(own),
        (Finding::Unknown, OnRequest) if wanted > own => Ruling::Ask(wanted),
        (Finding::Unknown, Never | OnFailure | OnRequest) => Ruling::Run(own),
    }
}

/// What commands may do under a sandbox policy when nobody is asked.
fn own_rights(sandbox: SandboxKind) -> Rights {
    match sandbox {
        SandboxKind::ReadOnly | SandboxKind::WorkspaceWrite => Rights::Sandboxed,
        SandboxKind::DangerFullAccess | SandboxKind::ExternalSandbox => Rights::Free,
    }
}

/// The kind of a sandbox policy.
pub fn sandbox_kind(policy: &SandboxPolicy) -> SandboxKind {
    match policy {
        SandboxPolicy::DangerFullAccess => SandboxKind::DangerFullAccess,
        SandboxPolicy::ReadOnly => SandboxKind::ReadOnly,
        SandboxPolicy::ExternalSandbox { .. } => SandboxKind::ExternalSandbox,
        SandboxPolicy::WorkspaceWrite { .. } => SandboxKind::WorkspaceWrite,
    }
}

/// How far a patch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchReach {
    /// It changes nothing.
    Nothing,
    /// It writes only where the sandbox lets commands write.
    Within,
    /// It writes elsewhere, too.
    Beyond,
}

/// The table for patches (engine.md §4.7).
///
/// Safer than the reference: under `on-failure` a patch that goes beyond the sandbox is not tried
/// first but asked about at once.
pub fn decide_patch(policy: AskForApproval, reach: PatchReach) -> Ruling {
    use AskForApproval::{Never, OnFailure, OnRequest, Untrusted};
    match (reach, policy) {
        (PatchReach::Nothing, _) => Ruling::Refuse(Refusal::EmptyPatch),
        (PatchReach::Within, Untrusted) => Ruling::Ask(Rights::Sandboxed),
        (PatchReach::Within, Never | OnFailure | OnRequest) => Ruling::Run(Rights::Sandboxed),
        (PatchReach::Beyond, Never) => Ruling::Refuse(Refusal::OutsideProject),
        (PatchReach::Beyond, Untrusted | OnFailure | OnRequest) => Ruling::Ask(Rights::Free),
    }
}

impl PatchReach {
    /// What the model is told when a patch that goes so far is refused.
    pub const fn refusal_text(self) -> &'static str {
        match self {
            Self::Nothing => "patch rejected: empty patch",
            Self::Within | Self::Beyond => {
                "patch rejected: writing outside of the project; rejected by user approval settings"
            }
        }
    }
}

/// What follows when the sandbox seems to have stopped a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The model gets the output as it is.
    Leave,
    /// The user is asked whether to run it again without a sandbox.
    Ask,
}

/// The table for commands that the sandbox stopped (engine.md §4.5).
///
/// Safer than the reference: that the user agreed to the first try says nothing of a second one
/// without a sandbox (engine.md §13, 4).
pub fn after_denial(policy: AskForApproval) -> Retry {
    match policy {
        AskForApproval::Never | AskForApproval::OnRequest => Retry::Leave,
        AskForApproval::Untrusted | AskForApproval::OnFailure => Retry::Ask,
    }
}

/// The tables as Markdown, for the page about rules.
#[cfg(test)]
pub(crate) fn markdown() -> String {
    use std::fmt::Write;
    let policies = AskForApproval::STRICT_FIRST;
    let head: String = policies.iter().map(|policy| format!(" `{}` |", policy.as_str())).collect();
    let mut page = String::new();
    for (title, sandbox) in [
        ("`read-only`, `workspace-write`", SandboxKind::ReadOnly),
        ("`danger-full-access`, `external-sandbox`", SandboxKind::DangerFullAccess),
    ] {
        let _ = write!(page, "Under {title}:\n\n| command | asks for |{head}\n");
        page.push_str("|---|---|---|---|---|---|\n");
        for escalation in [Escalation::None, Escalation::Required] {
            for finding in Finding::ALL {
                let wish = if escalation == Escalation::None { "nothing" } else { "no sandbox" };
                let _ = write!(page, "| {} | {wish} |", format!("{finding:?}").to_lowercase());
                for policy in policies {
                    let ruling = decide(Case { policy, sandbox, finding, escalation });
                    let _ = write!(page, " {} |", shown(ruling));
                }
                page.push('\n');
            }
        }
        page.push('\n');
    }
    let _ = write!(page, "Patches:\n\n| patch |{head}\n|---|---|---|---|---|\n");
    for reach in [PatchReach::Nothing, PatchReach::Within, PatchReach::Beyond] {
        let _ = write!(page, "| {} |", format!("{reach:?}").to_lowercase());
        for policy in policies {
            let _ = write!(page, " {} |", shown(decide_patch(policy, reach)));
        }
        page.push('\n');
    }
    page
}

#[cfg(test)]
fn shown(ruling: Ruling) -> &'static str {
    match ruling {
        Ruling::Run(Rights::Sandboxed) => "run",
        Ruling::Run(Rights::Free) => "run without sandbox",
        Ruling::Ask(Rights::Sandboxed) => "ask",
        Ruling::Ask(Rights::Free) => "ask, then without sandbox",
        Ruling::Refuse(_) => "refuse",
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
