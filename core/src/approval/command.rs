//! What the table says of one command, with the texts for user and model.

use super::table::{Case, Escalation, Finding, Refusal, Rights, Ruling, decide};
use crate::config::kinds::{AskForApproval, SandboxKind};
use crate::rules::{Decision, RuleMatch, RuleSet};
use crate::tools::command::{Hazard, Segments, base_name, hazard, one_line, segments};

/// What the model is told when the user declined a command.
pub const COMMAND_DECLINED: &str = "exec command rejected by user";
/// What the model is told when the user declined a patch.
pub const PATCH_DECLINED: &str = "patch rejected by user";
/// Why the user is asked a second time (engine.md §4.5).
pub const RETRY_REASON: &str = "command failed; retry without sandbox?";

/// A command that the model wants to run.
#[derive(Clone, Copy, Debug)]
pub struct CommandRequest<'a> {
    /// Its words.
    pub argv: &'a [String],
    /// The user's own shell, by its path.
    pub shell: &'a str,
    /// The tool that it is given to.
    pub tool: CommandTool,
    /// When the user wants to be asked.
    pub policy: AskForApproval,
    /// The sandbox that commands run in.
    pub sandbox: SandboxKind,
    /// What the model asks for with it.
    pub escalation: Escalation,
    /// Why, in the model's words.
    pub justification: Option<&'a str>,
    /// The beginning that the model would have allowed from now on (`prefix_rule`).
    pub prefix: Option<&'a [String]>,
}

/// The tools that run commands; they differ in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandTool {
    /// `shell`, `shell_command`, `local_shell`.
    Shell,
    /// `exec_command`.
    UnifiedExec,
}

/// What becomes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandRuling {
    /// It runs unasked.
    Run {
        /// With what rights.
        rights: Rights,
        /// The rule to propose if the sandbox stops it and the user is asked about that.
        amendment: Option<Vec<String>>,
    },
    /// The user is asked, and it runs if they agree.
    Ask {
        /// With what rights.
        rights: Rights,
        /// Why it is asked.
        reason: Option<String>,
        /// The rule that would keep the question from coming again.
        amendment: Option<Vec<String>>,
    },
    /// It does not run.
    Refuse {
        /// What the model is told.
        text: String,
        /// Whether the user sees the command as a failed item (engine.md §3.3).
        item: bool,
    },
}

/// What the table is asked about a command.
pub fn command_case(request: CommandRequest<'_>, rules: &RuleSet) -> Case {
    let CommandRequest { policy, sandbox, escalation, .. } = request;
    let finding = Findings::of(request.argv, request.shell, rules).worst;
    Case { policy, sandbox, finding, escalation }
}

/// What becomes of a command under these rules.
pub fn command_ruling(request: CommandRequest<'_>, rules: &RuleSet) -> CommandRuling {
    let findings = Findings::of(request.argv, request.shell, rules);
    let CommandRequest { policy, sandbox, escalation, .. } = request;
    match decide(Case { policy, sandbox, finding: findings.worst, escalation }) {
        Ruling::Run(rights) => CommandRuling::Run { rights, amendment: findings.first_unruled() },
        Ruling::Ask(rights) => CommandRuling::Ask {
            rights,
            reason: findings.reason(&request),
            amendment: findings.amendment(request.prefix),
        },
        Ruling::Refuse(why) => CommandRuling::Refuse {
            text: findings.refusal(&request, why),
            item: why != Refusal::Escalation,
        },
    }
}

/// What is found of each plain command.
struct Findings {
    each: Vec<(Vec<String>, Finding)>,
    worst: Finding,
    /// The strictest match of any rule, the longest among equals.
    rule: Option<RuleMatch>,
}

impl Findings {
    fn of(argv: &[String], shell: &str, rules: &RuleSet) -> Self {
        let Segments { commands, certain, trusted } = segments(argv, shell);
        let mut each = Vec::new();
        let mut rule: Option<RuleMatch> = None;
        for words in commands {
            let matched = rules.check(&words);
            let finding = match matched.as_ref().map(|matched| matched.decision) {
                // What is allowed is the command, not whatever calls itself a shell.
                Some(Decision::Allow) if !trusted => Finding::Unknown,
                Some(Decision::Allow) => Finding::Allowed,
                Some(Decision::Prompt) => Finding::Prompted,
                Some(Decision::Forbidden) => Finding::Forbidden,
                None => match hazard(&words) {
                    // Words that the shell has yet to work out may turn out to be options.
                    Hazard::Safe if certain && trusted => Finding::Safe,
                    Hazard::Safe | Hazard::Unknown => Finding::Unknown,
                    Hazard::Dangerous => Finding::Dangerous,
                },
            };
            let key = |found: &RuleMatch| (found.decision, found.prefix.len());
            if let Some(matched) = matched
                && rule.as_ref().is_none_or(|rule| key(&matched) > key(rule))
            {
                rule = Some(matched);
            }
            each.push((words, finding));
        }
        let worst = each.iter().map(|(_, finding)| *finding).max().unwrap_or(Finding::Unknown);
        Self { each, worst, rule }
    }

    fn first(&self, finding: Finding) -> Option<&Vec<String>> {
        self.each.iter().find(|(_, found)| *found == finding).map(|(words, _)| words)
    }

    fn first_unruled(&self) -> Option<Vec<String>> {
        let first = self.each.first().filter(|_| self.rule.is_none());
        first.map(|(words, _)| words.clone()).filter(|words| !is_too_broad(words))
    }

    fn reason(&self, request: &CommandRequest<'_>) -> Option<String> {
        let Some(rule) = self.rule.as_ref().filter(|_| self.worst == Finding::Prompted) else {
            return request.justification.map(str::to_owned);
        };
        let command = one_line(request.argv);
        Some(match &rule.justification {
            Some(why) => format!("`{command}` requires approval: {why}"),
            None => format!("`{command}` requires approval by policy"),
        })
    }

    /// The rule to propose: none where a rule says to ask, and none for what is dangerous, because
    /// a rule would allow whatever begins so.
    fn amendment(&self, prefix: Option<&[String]>) -> Option<Vec<String>> {
        if self.worst != Finding::Unknown {
            return None;
        }
        let fits = |prefix: &&[String]| {
            let mut unknown = self.each.iter().filter(|(_, found)| *found == Finding::Unknown);
            !is_too_broad(prefix) && unknown.any(|(words, _)| words.starts_with(prefix))
        };
        let asked = prefix.filter(fits).map(<[String]>::to_vec);
        let whole = self.first(Finding::Unknown).filter(|words| !is_too_broad(words));
        asked.or_else(|| whole.cloned())
    }

    fn refusal(&self, request: &CommandRequest<'_>, why: Refusal) -> String {
        let command = one_line(request.argv);
        match (why, &self.rule) {
            (Refusal::Escalation, _) => {
                let verb = match request.tool {
                    CommandTool::Shell => "should not",
                    CommandTool::UnifiedExec => "cannot",
                };
                let policy = request.policy.constraint_name();
                format!(
                    "approval policy is {policy}; reject command — you {verb} ask for escalated \
                     permissions if the approval policy is {policy}"
                )
            }
            (Refusal::MayNotAsk, _) => {
                "approval required by policy, but AskForApproval is set to Never".to_owned()
            }
            (Refusal::Forbidden, Some(rule)) => match &rule.justification {
                Some(why) => format!("`{command}` rejected: {why}"),
                None => {
                    let prefix = rule.shown_prefix();
                    format!(
                        "`{command}` rejected: policy forbids commands starting with `{prefix}`"
                    )
                }
            },
            (
                Refusal::Forbidden
                | Refusal::Blocked
                | Refusal::OutsideProject
                | Refusal::EmptyPatch,
                _,
            ) => format!("`{command}` rejected: blocked by policy"),
        }
    }
}

/// Programs that run whatever they are given; allowing one of them allows everything.
const INTERPRETERS: &[&str] = &[
    "awk",
    "bash",
    "bun",
    "deno",
    "doas",
    "env",
    "exec",
    "fish",
    "ksh",
    "lua",
    "node",
    "nohup",
    "osascript",
    "perl",
    "php",
    "powershell",
    "pwsh",
    "python",
    "python2",
    "python3",
    "ruby",
    "sh",
    "ssh",
    "sudo",
    "xargs",
    "zsh",
];

/// Whether a beginning says nothing of what is run: no words, or an interpreter with options.
fn is_too_broad(prefix: &[String]) -> bool {
    match prefix.split_first() {
        None => true,
        Some((program, rest)) => {
            let interpreter = INTERPRETERS.contains(&base_name(program));
            interpreter && rest.iter().all(|word| word.starts_with('-'))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::table::{Escalation, Finding, Rights};
    use super::{CommandRequest, CommandRuling, CommandTool, Findings, command_ruling};
    use crate::config::kinds::{AskForApproval, SandboxKind};
    use crate::rules::{Decision, Rule, RuleSet};

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn script(text: &str) -> Vec<String> {
        ["/bin/bash", "-lc", text].map(str::to_owned).to_vec()
    }

    fn rules(rules: &[(&str, Decision, Option<&str>)]) -> RuleSet {
        let mut set = RuleSet::default();
        for (line, decision, why) in rules {
            let mut words = words(line).into_iter();
            set.add(Rule {
                program: words.next().unwrap_or_default(),
                rest: words.map(|word| vec![word]).collect(),
                decision: *decision,
                justification: why.map(str::to_owned),
            });
        }
        set
    }

    fn request(argv: &[String], policy: AskForApproval) -> CommandRequest<'_> {
        CommandRequest {
            argv,
            shell: "/bin/bash",
            tool: CommandTool::Shell,
            policy,
            sandbox: SandboxKind::WorkspaceWrite,
            escalation: Escalation::None,
            justification: None,
            prefix: None,
        }
    }

    fn refused(ruling: CommandRuling) -> (String, bool) {
        match ruling {
            CommandRuling::Refuse { text, item } => (text, item),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_allowed_command_does_not_free_a_script() {
        let set = rules(&[("cat", Decision::Allow, None), ("touch", Decision::Allow, None)]);
        let free = |text: &str| {
            let argv = script(text);
            let ruling = command_ruling(request(&argv, AskForApproval::Never), &set);
            matches!(ruling, CommandRuling::Run { rights: Rights::Free, .. })
        };
        assert!(free("cat x; touch y"));
        for text in ["cat x; mkdir y", "cat x; ls", "cat x > y", "cat $x", "cat x & touch y"] {
            assert!(!free(text), "{text}");
        }
        let argv = ["/w/bash", "-c", "cat x"].map(str::to_owned);
        let ruling = command_ruling(request(&argv, AskForApproval::Never), &set);
        let rights = Rights::Sandboxed;
        assert_eq!(ruling, CommandRuling::Run { rights, amendment: None });
    }

    #[test]
    fn an_unknown_command_is_asked_about_with_a_rule_to_propose() {
        let argv = script("touch made-by-model");
        let ask = |reason: Option<&str>, amendment: &str| CommandRuling::Ask {
            rights: Rights::Sandboxed,
            reason: reason.map(str::to_owned),
            amendment: Some(words(amendment)),
        };
        let none = RuleSet::default();
        let plain = request(&argv, AskForApproval::Untrusted);
        assert_eq!(command_ruling(plain, &none), ask(None, "touch made-by-model"));
        let prefix = words("touch");
        let asked = CommandRequest { justification: Some("why"), prefix: Some(&prefix), ..plain };
        assert_eq!(command_ruling(asked, &none), ask(Some("why"), "touch"));
        for foreign in ["rm", "touch x"] {
            let prefix = words(foreign);
            let asked = CommandRequest { prefix: Some(&prefix), ..plain };
            assert_eq!(command_ruling(asked, &none), ask(None, "touch made-by-model"));
        }
        let argv = words("python3 -c 1");
        let broad = words("python3 -c");
        let asked =
            CommandRequest { prefix: Some(&broad), ..request(&argv, AskForApproval::Untrusted) };
        assert_eq!(command_ruling(asked, &none), ask(None, "python3 -c 1"));
    }

    #[test]
    fn an_interpreter_alone_is_never_proposed() {
        let argv = words("python3 -i");
        for policy in [AskForApproval::Untrusted, AskForApproval::OnFailure] {
            let proposed = match command_ruling(request(&argv, policy), &RuleSet::default()) {
                CommandRuling::Run { amendment, .. } | CommandRuling::Ask { amendment, .. } => {
                    amendment
                }
                CommandRuling::Refuse { text, .. } => panic!("{text}"),
            };
            assert_eq!(proposed, None, "{policy:?}");
        }
    }

    #[test]
    fn rules_that_ask_say_why_and_propose_nothing() {
        let argv = script("git push");
        for (why, text) in [
            (Some("ask Ann"), "`/bin/bash -lc 'git push'` requires approval: ask Ann"),
            (None, "`/bin/bash -lc 'git push'` requires approval by policy"),
        ] {
            let set = rules(&[("git", Decision::Prompt, why)]);
            let ruling = command_ruling(request(&argv, AskForApproval::OnFailure), &set);
            let reason = Some(text.to_owned());
            let expected =
                CommandRuling::Ask { rights: Rights::Sandboxed, reason, amendment: None };
            assert_eq!(ruling, expected);
            let ruling = command_ruling(request(&argv, AskForApproval::Never), &set);
            let text = "approval required by policy, but AskForApproval is set to Never";
            assert_eq!(refused(ruling), (text.to_owned(), true));
        }
    }

    #[test]
    fn refusals_have_the_texts_that_clients_know() {
        let never = AskForApproval::Never;
        let argv = words("touch x");
        let set = rules(&[("touch", Decision::Forbidden, None)]);
        let text = "`touch x` rejected: policy forbids commands starting with `touch`";
        assert_eq!(refused(command_ruling(request(&argv, never), &set)), (text.to_owned(), true));
        let set = rules(&[("touch", Decision::Forbidden, Some("no"))]);
        let text = "`touch x` rejected: no";
        assert_eq!(refused(command_ruling(request(&argv, never), &set)), (text.to_owned(), true));
        let argv = words("rm -rf foo");
        let text = "`rm -rf foo` rejected: blocked by policy";
        let ruling = command_ruling(request(&argv, never), &RuleSet::default());
        assert_eq!(refused(ruling), (text.to_owned(), true));
    }

    #[test]
    fn asking_to_leave_the_sandbox_needs_the_policy_for_it() {
        let argv = words("ls");
        for (policy, tool, text) in [
            (
                AskForApproval::Untrusted,
                CommandTool::Shell,
                "approval policy is UnlessTrusted; reject command — you should not ask for \
                 escalated permissions if the approval policy is UnlessTrusted",
            ),
            (
                AskForApproval::OnFailure,
                CommandTool::UnifiedExec,
                "approval policy is OnFailure; reject command — you cannot ask for escalated \
                 permissions if the approval policy is OnFailure",
            ),
        ] {
            let asked = request(&argv, policy);
            let asked = CommandRequest { tool, escalation: Escalation::Required, ..asked };
            let ruling = command_ruling(asked, &RuleSet::default());
            assert_eq!(refused(ruling), (text.to_owned(), false));
        }
    }

    #[test]
    fn nothing_is_proposed_for_what_is_dangerous() {
        let argv = words("rm -rf build");
        let ruling = command_ruling(request(&argv, AskForApproval::OnRequest), &RuleSet::default());
        let expected =
            CommandRuling::Ask { rights: Rights::Sandboxed, reason: None, amendment: None };
        assert_eq!(ruling, expected);
    }

    proptest! {
        #[test]
        fn a_longer_script_is_never_found_better(
            parts in proptest::collection::vec(
                proptest::sample::select(vec!["ls", "cat x", "touch y", "rm -f z", "git push", "ls *"]),
                1..5,
            ),
            more in proptest::sample::select(vec!["ls", "mk", "rm -f q", "git push", "cat $x"]),
        ) {
            let set = rules(&[
                ("git", Decision::Forbidden, None),
                ("cat", Decision::Allow, None),
                ("touch y", Decision::Prompt, None),
            ]);
            let worst = |text: &str| Findings::of(&script(text), "/bin/bash", &set).worst;
            let short = parts.join(" && ");
            let (before, after) = (worst(&short), worst(&format!("{short}; {more}")));
            // A script that cannot be read is one unknown command, sandboxed as such.
            prop_assert!(after >= before || (more.contains('$') && after == Finding::Unknown));
        }
    }
}
