//! The rows of this room's tables, numbered for [`crate::reached`].

use super::table::{Case, Escalation, Finding, PatchReach};
use crate::config::kinds::{AskForApproval, SandboxKind};
use crate::reached::{Row, Table};

fn policy_place(policy: AskForApproval) -> usize {
    let place = AskForApproval::STRICT_FIRST.iter().position(|each| *each == policy);
    // A fault of ours: counted as another row, it would be taken for reached.
    place.unwrap_or_else(|| unreachable!("{policy:?} is missing from STRICT_FIRST"))
}

/// The row that decides about a command.
pub(crate) fn command(case: Case) -> Row {
    let Case { policy, sandbox, finding, escalation } = case;
    let confined = matches!(sandbox, SandboxKind::ReadOnly | SandboxKind::WorkspaceWrite);
    let half = usize::from(!confined) * 2 + usize::from(escalation == Escalation::Required);
    Row(Table::Command, (half * Finding::ALL.len() + finding as usize) * 4 + policy_place(policy))
}

/// The row that decides about a patch.
pub(crate) fn patch(policy: AskForApproval, reach: PatchReach) -> Row {
    Row(Table::Patch, reach as usize * 4 + policy_place(policy))
}

/// The row for a command that the sandbox stopped.
pub(crate) fn denial(policy: AskForApproval) -> Row {
    Row(Table::Denial, policy_place(policy))
}

#[cfg(feature = "sim")]
mod names {
    use super::{AskForApproval, Finding, PatchReach};

    fn each_policy(about: &str) -> impl Iterator<Item = String> {
        let names = AskForApproval::STRICT_FIRST.map(AskForApproval::as_str);
        names.into_iter().map(move |policy| format!("{about}, {policy}"))
    }

    pub(crate) fn commands() -> Vec<String> {
        let mut rows = Vec::new();
        for sandbox in ["sandboxed", "full access"] {
            for wish in ["asks for nothing", "asks for no sandbox"] {
                for finding in Finding::ALL {
                    let finding = format!("{finding:?}").to_lowercase();
                    rows.extend(each_policy(&format!("{finding}, {wish}, {sandbox}")));
                }
            }
        }
        rows
    }

    pub(crate) fn patches() -> Vec<String> {
        let reaches = [PatchReach::Nothing, PatchReach::Within, PatchReach::Beyond];
        let names = reaches.map(|reach| format!("{reach:?}").to_lowercase());
        names.iter().flat_map(|reach| each_policy(reach)).collect()
    }

    pub(crate) fn denials() -> Vec<String> {
        each_policy("stopped").collect()
    }
}

#[cfg(feature = "sim")]
pub(crate) use names::{commands, denials, patches};

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::{AskForApproval, Case, Escalation, Finding, SandboxKind};

    #[test]
    fn every_case_has_a_row_and_every_row_a_name() {
        let rows = super::commands();
        let mut seen = std::collections::BTreeSet::new();
        for sandbox in [SandboxKind::WorkspaceWrite, SandboxKind::DangerFullAccess] {
            for escalation in [Escalation::None, Escalation::Required] {
                for finding in Finding::ALL {
                    for policy in AskForApproval::STRICT_FIRST {
                        let case = Case { policy, sandbox, finding, escalation };
                        let place = super::command(case).1;
                        assert!(rows[place].ends_with(policy.as_str()), "{case:?}");
                        seen.insert(place);
                    }
                }
            }
        }
        assert_eq!(seen.len(), rows.len());
    }
}
