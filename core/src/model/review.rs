//! Owns: what a reviewer is told and how its answer is read (protocol.md §4.7, engine.md §10.6).
//! Invariant: an answer of any shape gives a text for people; nothing of it is lost.
//! Never: looks at the repository; the reviewer does.

use std::fmt::Write;
use std::sync::Arc;

use serde::Deserialize;

use super::request::json_string;
use crate::wire::legacy::event_part::{ReviewCodeLocation, ReviewFinding, ReviewOutputEvent};
use crate::wire::refusal::Refusal;
use crate::wire::v2::review::ReviewTarget;

/// Shown when the reviewer was stopped, failed, or had nothing to say.
pub(crate) const NO_ANSWER: &str = "Reviewer failed to output a response.";
/// What the thread answers in that case.
pub(crate) const STOPPED: &str =
    "Review was interrupted. Please re-run /review and wait for it to complete.";

/// Characters of a commit's name that people are shown.
const SHORT_SHA: usize = 7;

/// What is asked of every reviewer in the same words.
const REPORT: &str = "Report what has to be mended, the gravest first.";

/// A review that was asked for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReviewOrder {
    pub(crate) target: ReviewTarget,
    /// The target for people.
    pub(crate) hint: String,
}

impl ReviewOrder {
    /// Trims what the client wrote; what is blank then is refused.
    pub(crate) fn new(target: ReviewTarget) -> Result<Self, Refusal> {
        let filled = |text: &str, what: &str| match text.trim() {
            "" => Err(Refusal::invalid(format!("{what} must not be empty"))),
            text => Ok(text.to_owned()),
        };
        let target = match target {
            ReviewTarget::UncommittedChanges => ReviewTarget::UncommittedChanges,
            ReviewTarget::BaseBranch { branch } => {
                ReviewTarget::BaseBranch { branch: filled(&branch, "branch")? }
            }
            ReviewTarget::Commit { sha, title } => {
                let title = title.map(|title| title.trim().to_owned());
                let title = title.filter(|title| !title.is_empty());
                ReviewTarget::Commit { sha: filled(&sha, "sha")?, title }
            }
            ReviewTarget::Custom { instructions } => {
                ReviewTarget::Custom { instructions: filled(&instructions, "instructions")? }
            }
        };
        let hint = hint(&target);
        Ok(Self { target, hint })
    }

    /// What the reviewer is asked. It finds the change by itself, with git.
    pub(crate) fn prompt(&self) -> String {
        match &self.target {
            ReviewTarget::UncommittedChanges => format!(
                "Review the changes in the working tree that are not committed: staged, unstaged \
                 and untracked files. {REPORT}"
            ),
            ReviewTarget::BaseBranch { branch } => format!(
                "Review what the current branch changes against the base branch '{branch}'. Find \
                 where the two part first: `git merge-base HEAD \"$(git rev-parse --abbrev-ref \
                 \"{branch}@{{upstream}}\")\"`, or without the upstream if there is none, then \
                 look at `git diff` from that commit on. {REPORT}"
            ),
            ReviewTarget::Commit { sha, title: Some(title) } => {
                format!("Review what the commit {sha} (\"{title}\") changes. {REPORT}")
            }
            ReviewTarget::Commit { sha, title: None } => {
                format!("Review what the commit {sha} changes. {REPORT}")
            }
            ReviewTarget::Custom { instructions } => instructions.clone(),
        }
    }
}

fn hint(target: &ReviewTarget) -> String {
    match target {
        ReviewTarget::UncommittedChanges => "current changes".to_owned(),
        ReviewTarget::BaseBranch { branch } => format!("changes against '{branch}'"),
        ReviewTarget::Commit { sha, title } => {
            let short: String = sha.chars().take(SHORT_SHA).collect();
            match title {
                Some(title) => format!("commit {short}: {title}"),
                None => format!("commit {short}"),
            }
        }
        ReviewTarget::Custom { instructions } => instructions.clone(),
    }
}

/// The reviewer's system prompt, as a JSON string.
pub(crate) fn instructions_json() -> Arc<str> {
    json_string(include_str!("prompts/review.md"))
}

/// The answer as it may come: what a reviewer leaves out is no reason to show people raw JSON. An
/// object without findings is some other object.
#[derive(Deserialize)]
struct Answer {
    findings: Vec<Found>,
    #[serde(default)]
    overall_correctness: Option<String>,
    #[serde(default)]
    overall_explanation: Option<String>,
    #[serde(default)]
    overall_confidence_score: Option<f32>,
}

#[derive(Deserialize)]
struct Found {
    title: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    confidence_score: Option<f32>,
    #[serde(default)]
    priority: Option<i32>,
    code_location: ReviewCodeLocation,
}

/// The priority of a finding that has none: that of what would be nice.
const NO_PRIORITY: i32 = 3;

impl From<Answer> for ReviewOutputEvent {
    fn from(answer: Answer) -> Self {
        let finding = |found: Found| ReviewFinding {
            title: found.title,
            body: found.body,
            confidence_score: found.confidence_score.unwrap_or_default(),
            priority: found.priority.unwrap_or(NO_PRIORITY),
            code_location: found.code_location,
        };
        Self {
            findings: answer.findings.into_iter().map(finding).collect(),
            overall_correctness: answer.overall_correctness.unwrap_or_default(),
            overall_explanation: answer.overall_explanation.unwrap_or_default(),
            overall_confidence_score: answer.overall_confidence_score.unwrap_or_default(),
        }
    }
}

/// The reviewer's answer: the JSON object that it was asked for, also with text around it, else the
/// whole text as an explanation.
pub(crate) fn read_answer(text: &str) -> ReviewOutputEvent {
    let object = text.find('{').zip(text.rfind('}'));
    let within = object.and_then(|(from, to)| text.get(from..=to));
    let answer = within.and_then(|text| serde_json::from_str::<Answer>(text).ok());
    answer.map_or_else(
        || ReviewOutputEvent {
            overall_explanation: text.trim().to_owned(),
            ..ReviewOutputEvent::default()
        },
        Into::into,
    )
}

/// The answer as people read it.
pub(crate) fn shown(output: &ReviewOutputEvent) -> String {
    let mut text = output.overall_explanation.trim().to_owned();
    if !output.findings.is_empty() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let many = output.findings.len() > 1;
        text.push_str(if many { "Full review comments:" } else { "Review comment:" });
    }
    for finding in &output.findings {
        push_finding(&mut text, finding);
    }
    if text.is_empty() { NO_ANSWER.to_owned() } else { text }
}

fn push_finding(text: &mut String, finding: &ReviewFinding) {
    let place = &finding.code_location;
    let lines = place.line_range;
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n\n- {} — {}:{}-{}",
        finding.title, place.absolute_file_path, lines.start, lines.end
    );
    for line in finding.body.lines() {
        let _ = write!(text, "\n  {line}");
    }
}

/// What the thread's own model is told of a review, in the user's name. The tags are how the
/// reference knows the message again.
pub(crate) fn told(text: Option<&str>) -> String {
    let (context, results) = match text {
        Some(text) => (
            "The user had a change reviewed. What the reviewer said is below. The user may pick \
             findings to be mended.",
            text,
        ),
        None => (
            "The user had a change reviewed, but the review was stopped before it had a result. \
             If the user asks for it, say that it has to be run again.",
            "None.",
        ),
    };
    format!(
        "<user_action>\n  <context>{context}</context>\n  <action>review</action>\n  <results>\n  \
         {results}\n  </results>\n  </user_action>\n\n"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(target: serde_json::Value) -> Result<ReviewOrder, Refusal> {
        ReviewOrder::new(serde_json::from_value(target).expect("a target"))
    }

    #[test]
    fn targets_are_trimmed_and_named() {
        let cases = [
            (json!({"type": "uncommittedChanges"}), "current changes"),
            (json!({"type": "baseBranch", "branch": " main "}), "changes against 'main'"),
            (
                json!({"type": "commit", "sha": "abc1234567", "title": " Fix it"}),
                "commit abc1234: Fix it",
            ),
            (json!({"type": "commit", "sha": "abcd", "title": " "}), "commit abcd"),
            (json!({"type": "custom", "instructions": "\nlook\n"}), "look"),
        ];
        for (target, hint) in cases {
            assert_eq!(order(target).map(|order| order.hint), Ok(hint.to_owned()));
        }
        let blank = [
            (json!({"type": "baseBranch", "branch": " "}), "branch must not be empty"),
            (json!({"type": "commit", "sha": ""}), "sha must not be empty"),
            (json!({"type": "custom", "instructions": "\t"}), "instructions must not be empty"),
        ];
        for (target, text) in blank {
            assert_eq!(order(target), Err(Refusal::invalid(text)));
        }
    }

    #[test]
    fn prompts_name_what_is_looked_at() {
        let prompt = |target| order(target).expect("a good target").prompt();
        let branch = prompt(json!({"type": "baseBranch", "branch": "main"}));
        assert!(branch.contains("git merge-base HEAD") && branch.contains("\"main@{upstream}\""));
        let commit = prompt(json!({"type": "commit", "sha": "abc", "title": "Fix"}));
        assert!(commit.contains("abc (\"Fix\")"), "{commit}");
        assert_eq!(prompt(json!({"type": "custom", "instructions": "look"})), "look");
    }

    fn finding(title: &str) -> serde_json::Value {
        json!({
            "title": title, "body": "Body text.\nMore.", "confidence_score": 0.5, "priority": 1,
            "code_location": {
                "absolute_file_path": "/tmp/file.rs", "line_range": {"start": 10, "end": 20}
            }
        })
    }

    #[test]
    fn an_answer_is_read_in_every_shape() {
        let answer = json!({
            "findings": [finding("Prefer X")], "overall_correctness": "patch is correct",
            "overall_explanation": "Looks solid.", "overall_confidence_score": 0.9
        });
        let text = "Looks solid.\n\nReview comment:\n\n- Prefer X — /tmp/file.rs:10-20\n  Body \
                    text.\n  More.";
        assert_eq!(shown(&read_answer(&answer.to_string())), text);
        assert_eq!(shown(&read_answer(&format!("Here:\n```json\n{answer}\n```"))), text);
        assert_eq!(shown(&read_answer(" All { fine } \n")), "All { fine }");
        assert_eq!(shown(&read_answer("  ")), NO_ANSWER);
        let bare = json!({"findings": [
            {"title": "A", "code_location": {"absolute_file_path": "/f", "line_range": {"start": 1, "end": 2}}},
            finding("B"),
        ]});
        assert_eq!(
            shown(&read_answer(&bare.to_string())),
            "Full review comments:\n\n- A — /f:1-2\n\n- B — /tmp/file.rs:10-20\n  Body text.\n  \
             More."
        );
    }

    #[test]
    fn the_thread_is_told_in_the_tags_of_the_reference() {
        let text = told(Some("All good."));
        assert!(text.starts_with("<user_action>\n  <context>"));
        assert!(text.ends_with(
            "</context>\n  <action>review</action>\n  <results>\n  All good.\n  </results>\n  \
             </user_action>\n\n"
        ));
        assert!(told(None).contains("<results>\n  None.\n"));
    }
}
