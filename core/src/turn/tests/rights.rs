//! Goal: no program runs with more rights than the decision table grants, whatever the user answers
//! and however it ends. Method: every policy, sandbox, wish and kind of command, with every answer to
//! every question and with a denial after the first try; each program that is started is compared
//! with what the table said, and with what the user was asked.

use serde_json::json;

use super::{Bench, function};
use crate::approval::{Case, Escalation, Finding, Rights, Ruling, decide};
use crate::config::kinds::{AskForApproval, SandboxKind};
use crate::files::MemoryFiles;
use crate::input::{Input, Outcome};
use crate::process::OutputStream::Stderr;
use crate::process::ProcessExit;

const RULES: &str = "prefix_rule(pattern=[\"allowed\"], decision=\"allow\")\n\
                     prefix_rule(pattern=[\"prompted\"], decision=\"prompt\")\n\
                     prefix_rule(pattern=[\"forbidden\"], decision=\"forbidden\")\n";

/// A command of each kind.
const COMMANDS: [(Finding, &str); 6] = [
    (Finding::Allowed, "allowed x"),
    (Finding::Safe, "ls"),
    (Finding::Unknown, "make"),
    (Finding::Dangerous, "rm -rf x"),
    (Finding::Prompted, "prompted x"),
    (Finding::Forbidden, "forbidden x"),
];

const METHOD: &str = "item/commandExecution/requestApproval";

/// What the user was asked so far, and whether for leaving the sandbox after a denial.
fn questions(bench: &Bench) -> Vec<(i64, bool)> {
    let asked = bench.said.iter().filter(|line| line["method"] == METHOD);
    let told = |line: &serde_json::Value| {
        let reason = &line["params"]["reason"];
        (line["id"].as_i64().expect("an id"), *reason == "command failed; retry without sandbox?")
    };
    asked.map(told).collect()
}

fn check(case: Case, line: &str, tool: &str, answers: [&str; 2]) {
    let files = MemoryFiles::new().with("/home/rules/default.rules", RULES);
    let more = "[features]\nunified_exec = true\n";
    let (policy, sandbox) = (case.policy.as_str(), case.sandbox.as_str());
    let mut bench = Bench::with(policy, sandbox, more, files);
    let mut arguments = match tool {
        "shell_command" => json!({ "command": line }),
        _ => json!({ "cmd": line }),
    };
    if case.escalation == Escalation::Required {
        arguments["sandbox_permissions"] = json!("require_escalated");
    }
    bench.respond(&[function("c", tool, &arguments.to_string())]);
    let ruling = decide(case);
    let mut granted = match ruling {
        Ruling::Run(rights) => Some(rights),
        Ruling::Ask(_) | Ruling::Refuse(_) => None,
    };
    for answer in answers {
        let scene = format!("{case:?} {tool} {answers:?}");
        for (_, request) in &bench.programs {
            let free = request.confinement.is_none();
            let may = granted.unwrap_or_else(|| panic!("nobody agreed: {scene}"));
            assert!(!free || may == Rights::Free, "{scene}");
        }
        // A program that runs is stopped by its sandbox.
        if let Some((call, _)) = bench.programs.pop_front() {
            bench.input(Input::Done(call, Outcome::ProcessOutput(Stderr, b"permission denied")));
            bench.input(Input::Done(call, Outcome::ProcessExited(ProcessExit::Code(1))));
        }
        let Some((id, is_retry)) = questions(&bench).last().copied() else { break };
        assert_ne!(case.policy, AskForApproval::Never, "{scene}");
        granted = match (answer, is_retry, ruling) {
            ("decline", _, _) => None,
            (_, true, _) => Some(Rights::Free),
            (_, false, Ruling::Ask(rights)) => Some(rights),
            (_, false, _) => panic!("asked without a reason: {scene}"),
        };
        bench.line(&json!({ "id": id, "result": { "decision": answer } }));
    }
    let may_be_free = granted == Some(Rights::Free);
    for (_, request) in &bench.programs {
        assert!(granted.is_some() && (request.confinement.is_some() || may_be_free));
    }
    if matches!(ruling, Ruling::Refuse(_)) {
        assert!(bench.programs.is_empty() && questions(&bench).is_empty());
    }
}

#[test]
fn no_program_has_more_rights_than_the_table_grants() {
    let sandboxes =
        [SandboxKind::ReadOnly, SandboxKind::WorkspaceWrite, SandboxKind::DangerFullAccess];
    for &policy in AskForApproval::ALL {
        for sandbox in sandboxes {
            for (finding, line) in COMMANDS {
                for escalation in [Escalation::None, Escalation::Required] {
                    let case = Case { policy, sandbox, finding, escalation };
                    for answers in [["accept", "accept"], ["acceptForSession", "decline"]] {
                        check(case, line, "shell_command", answers);
                    }
                    check(case, line, "exec_command", ["accept", "accept"]);
                    check(case, line, "shell_command", ["decline", "accept"]);
                }
            }
        }
    }
}
