//! The whole product of the table against the specification's sentences, each said again on its
//! own; and what must hold between neighbouring cases.

use super::{
    Case, Escalation, Finding, PatchReach, Refusal, Retry, Rights, Ruling, after_denial, decide,
    decide_patch, markdown,
};
use crate::config::kinds::{AskForApproval, SandboxKind};

const ESCALATIONS: [Escalation; 2] = [Escalation::None, Escalation::Required];
const REACHES: [PatchReach; 3] = [PatchReach::Nothing, PatchReach::Within, PatchReach::Beyond];

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for &policy in AskForApproval::ALL {
        for &sandbox in SandboxKind::ALL {
            for finding in Finding::ALL {
                for escalation in ESCALATIONS {
                    all.push(Case { policy, sandbox, finding, escalation });
                }
            }
        }
    }
    assert_eq!(all.len(), 4 * 4 * 6 * 2);
    all
}

fn has_sandbox(case: Case) -> bool {
    matches!(case.sandbox, SandboxKind::ReadOnly | SandboxKind::WorkspaceWrite)
}

fn escalated(case: Case) -> bool {
    case.escalation == Escalation::Required
}

/// What must be refused, and why; in the order in which the sentences take effect.
fn refusal(case: Case) -> Option<Refusal> {
    let never = case.policy == AskForApproval::Never;
    // "require_escalated under any policy but on-request" is answered before anything else.
    if escalated(case) && case.policy != AskForApproval::OnRequest {
        return Some(Refusal::Escalation);
    }
    // "forbidden: refuse"
    if case.finding == Finding::Forbidden {
        return Some(Refusal::Forbidden);
    }
    // "prompt, policy never: refuse"
    if case.finding == Finding::Prompted && never {
        return Some(Refusal::MayNotAsk);
    }
    // "Dangerous: prompt, or forbidden when the policy is never (even with full access)"
    (case.finding == Finding::Dangerous && never).then_some(Refusal::Blocked)
}

/// Whether the user must be asked, given that nothing is refused.
fn must_ask(case: Case) -> bool {
    match case.finding {
        Finding::Forbidden | Finding::Prompted | Finding::Dangerous => true,
        Finding::Allowed | Finding::Safe => false,
        // "untrusted: prompt"; "on-request: prompt if require_escalated" where there is a sandbox.
        Finding::Unknown => {
            case.policy == AskForApproval::Untrusted || (escalated(case) && has_sandbox(case))
        }
    }
}

/// Whether it runs outside a sandbox once it runs.
fn runs_free(case: Case) -> bool {
    // Full access and external sandboxes have none to run in.
    !has_sandbox(case)
        // Every plain command is allowed by a rule.
        || case.finding == Finding::Allowed
        // The model asked, and the user agreed.
        || (escalated(case) && must_ask(case))
}

#[test]
fn every_case_is_as_the_sentences_say() {
    for case in cases() {
        let rights = if runs_free(case) { Rights::Free } else { Rights::Sandboxed };
        let expected = match refusal(case) {
            Some(why) => Ruling::Refuse(why),
            None if must_ask(case) => Ruling::Ask(rights),
            None => Ruling::Run(rights),
        };
        assert_eq!(decide(case), expected, "{case:?}");
    }
}

#[test]
fn nobody_is_asked_under_never_and_nothing_dangerous_runs_unasked() {
    for case in cases() {
        let ruling = decide(case);
        if case.policy == AskForApproval::Never {
            assert!(!matches!(ruling, Ruling::Ask(_)), "{case:?}");
        }
        if case.finding >= Finding::Dangerous {
            assert!(!matches!(ruling, Ruling::Run(_)), "{case:?}");
        }
        let leaves = ruling == Ruling::Run(Rights::Free) && has_sandbox(case);
        assert!(!leaves || case.finding == Finding::Allowed, "{case:?}");
    }
}

/// How much is let through; asking for something is less than just running it.
fn looseness(ruling: Ruling) -> usize {
    match ruling {
        Ruling::Refuse(_) => 0,
        Ruling::Ask(_) => 1,
        Ruling::Run(Rights::Sandboxed) => 2,
        Ruling::Run(Rights::Free) => 3,
    }
}

#[test]
fn nothing_gets_looser_when_something_gets_stricter() {
    for case in cases() {
        let loose = looseness(decide(case));
        // A worse finding.
        for finding in Finding::ALL.into_iter().filter(|finding| *finding > case.finding) {
            assert!(looseness(decide(Case { finding, ..case })) <= loose, "{case:?} {finding:?}");
        }
        // A sandbox where there was none.
        if !has_sandbox(case) {
            for sandbox in [SandboxKind::ReadOnly, SandboxKind::WorkspaceWrite] {
                assert!(looseness(decide(Case { sandbox, ..case })) <= loose, "{case:?}");
            }
        }
        // What runs unasked under a stricter policy does so under a looser one; asking for more
        // never gets more unasked.
        let runs = |case| matches!(decide(case), Ruling::Run(_));
        let mut stricter = AskForApproval::STRICT_FIRST.into_iter();
        let mut stricter = stricter.by_ref().take_while(|policy| *policy != case.policy);
        if case.escalation == Escalation::None {
            assert!(
                stricter.all(|policy| !runs(Case { policy, ..case }) || runs(case)),
                "{case:?}"
            );
            let more = Case { escalation: Escalation::Required, ..case };
            assert!(looseness(decide(more)) <= loose, "{case:?}");
        }
    }
}

#[test]
fn patches_are_decided_by_where_they_write() {
    for &policy in AskForApproval::ALL {
        for reach in REACHES {
            let ruling = decide_patch(policy, reach);
            let expected = if reach == PatchReach::Nothing {
                Ruling::Refuse(Refusal::EmptyPatch)
            } else if policy == AskForApproval::Untrusted {
                let beyond = reach == PatchReach::Beyond;
                Ruling::Ask(if beyond { Rights::Free } else { Rights::Sandboxed })
            } else if reach == PatchReach::Within {
                Ruling::Run(Rights::Sandboxed)
            } else if policy == AskForApproval::Never {
                Ruling::Refuse(Refusal::OutsideProject)
            } else {
                Ruling::Ask(Rights::Free)
            };
            assert_eq!(ruling, expected, "{policy:?} {reach:?}");
        }
    }
}

#[test]
fn refused_patches_have_the_texts_that_models_know() {
    assert_eq!(PatchReach::Nothing.refusal_text(), "patch rejected: empty patch");
    let text = "patch rejected: writing outside of the project; rejected by user approval settings";
    assert_eq!(PatchReach::Beyond.refusal_text(), text);
}

#[test]
fn a_second_try_is_always_asked_for() {
    for &policy in AskForApproval::ALL {
        let may = matches!(policy, AskForApproval::Untrusted | AskForApproval::OnFailure);
        assert_eq!(after_denial(policy) == Retry::Ask, may, "{policy:?}");
    }
}

#[test]
fn the_page_has_every_row() {
    let page = markdown();
    assert_eq!(page.lines().filter(|line| line.starts_with("| ")).count(), 2 * 13 + 4);
    let never = "| dangerous | nothing | ask | ask | ask | refuse |";
    assert!(page.contains(never), "{page}");
    assert!(page.contains("| beyond | ask, then without sandbox |"), "{page}");
}
