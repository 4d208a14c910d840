//! The collaboration modes that a client may offer (engine.md §9.4).

use crate::wire::v2::common::{ModeKind, ReasoningEffort};
use crate::wire::v2::model::CollaborationModeMask;

/// All modes, in the order in which they are offered. What a mode leaves open stays as it is.
pub(crate) fn all() -> Vec<CollaborationModeMask> {
    let medium = Some(ReasoningEffort::Medium);
    vec![
        mask("Plan", ModeKind::Plan, medium, include_str!("prompts/mode_plan.md")),
        mask("Code", ModeKind::Code, None, include_str!("prompts/mode_code.md")),
        mask(
            "Pair Programming",
            ModeKind::PairProgramming,
            medium,
            include_str!("prompts/mode_pair_programming.md"),
        ),
        mask(
            "Execute",
            ModeKind::Execute,
            Some(ReasoningEffort::High),
            include_str!("prompts/mode_execute.md"),
        ),
    ]
}

fn mask(
    name: &str,
    mode: ModeKind,
    reasoning_effort: Option<ReasoningEffort>,
    instructions: &str,
) -> CollaborationModeMask {
    CollaborationModeMask {
        name: name.to_owned(),
        mode: Some(mode),
        model: None,
        reasoning_effort,
        developer_instructions: Some(instructions.to_owned()),
    }
}
