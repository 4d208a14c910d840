//! What must hold after every step of every session (design.md §4).

use understudy_core::limits;

use super::reply::{Tool, patched};
use super::scene::Scene;
use super::table::{self, Leave};
use crate::auth::setting::AUTH_FILE;
use crate::auth::tokens::{EXTERNAL_MARK, MARKS};

/// A rule: its name and its check; the error says what was seen.
pub type Rule = (&'static str, fn(&Scene) -> Result<(), String>);

/// Every rule that is looked at after every step. Others are looked at as things happen.
pub const RULES: &[Rule] = &[
    ("d1_output_is_whole_messages", output_is_whole_messages),
    ("d4_no_secret_in_a_log", no_secret_in_a_log),
    ("d4_tokens_of_the_host_are_never_stored", tokens_of_the_host_are_never_stored),
    ("d5_the_backlog_is_bounded", the_backlog_is_bounded),
    ("d6_what_runs_has_a_turn", what_runs_has_a_turn),
    ("d6_no_patch_without_leave", no_patch_without_leave),
    ("d7_it_ends_in_time", it_ends_in_time),
    ("d7_nothing_outlives_the_end", nothing_outlives_the_end),
    ("no_error_is_logged", no_error_is_logged),
];

fn output_is_whole_messages(scene: &Scene) -> Result<(), String> {
    let trouble = scene.desks.iter().find_map(|desk| desk.world.trouble.clone());
    trouble.map_or(Ok(()), Err)
}

fn no_secret_in_a_log(scene: &Scene) -> Result<(), String> {
    match MARKS.iter().find(|mark| scene.log.contains(**mark)) {
        Some(mark) => Err(format!("{mark} in: {}", scene.log)),
        None => Ok(()),
    }
}

fn no_error_is_logged(scene: &Scene) -> Result<(), String> {
    // What the scripts themselves have broken is said.
    let ours = ["cannot be stored", "could not be saved", "the backend failed before"];
    let is_ours = |line: &str| ours.iter().any(|words| line.contains(words));
    let mut errors = scene.log.lines().filter(|line| line.starts_with("ERROR"));
    match errors.find(|line| !is_ours(line)) {
        Some(line) => Err(line.to_owned()),
        None => Ok(()),
    }
}

fn tokens_of_the_host_are_never_stored(scene: &Scene) -> Result<(), String> {
    let stored = scene.files.content(AUTH_FILE).unwrap_or_default();
    let has_mark = String::from_utf8_lossy(&stored).contains(EXTERNAL_MARK);
    if has_mark { Err("auth.json has tokens of the host".to_owned()) } else { Ok(()) }
}

fn the_backlog_is_bounded(scene: &Scene) -> Result<(), String> {
    let over = scene.desks.iter().find_map(|desk| desk.world.overflow);
    over.map_or(Ok(()), |[most, limit]| Err(format!("{most} bytes wait, more than {limit}")))
}

/// A program that was started for a turn is gone with it, but for one that may be left running when
/// the turn was not interrupted.
fn what_runs_has_a_turn(scene: &Scene) -> Result<(), String> {
    for (number, desk) in scene.desks.iter().enumerate() {
        for program in desk.world.programs() {
            let Some(plan) = scene.plan_of(number, program.spawned.call) else { continue };
            let Some(turn) = &plan.turn else { continue };
            let Some(status) = desk.over.get(turn) else { continue };
            if status == "interrupted" || !may_be_left_running(plan.tool) {
                return Err(format!("{status}, and there is still {program:?}"));
            }
        }
    }
    Ok(())
}

fn may_be_left_running(tool: Tool) -> bool {
    matches!(tool, Tool::Command { by: super::reply::Shell::Exec(_), .. })
}

fn no_patch_without_leave(scene: &Scene) -> Result<(), String> {
    for (number, plan) in &scene.ledger.plans {
        let Tool::Patch(reach) = plan.tool else { continue };
        let may_be = plan.rights.iter().any(|rights| {
            match table::patch(rights.policy, rights.sandbox, reach) {
                Leave::Free { .. } => true,
                Leave::IfAsked { .. } => plan.agreed[0] > 0,
                Leave::No => false,
            }
        });
        if !may_be && scene.files.content(patched(*number, reach)).is_some() {
            return Err(format!("c{number} was made: {plan:?}"));
        }
    }
    Ok(())
}

fn it_ends_in_time(scene: &Scene) -> Result<(), String> {
    for desk in scene.desks.iter().filter(|desk| desk.world.exit().is_none()) {
        // The input ends for the machine once it has taken what was said before.
        if desk.world.has_held_bytes() {
            continue;
        }
        let Some(since) = desk.ending_since else { continue };
        if desk.world.mono() > since + limits::CLOSING_GRACE + limits::CLOSING_GRACE {
            return Err(format!("input ended at {since:?}"));
        }
    }
    Ok(())
}

fn nothing_outlives_the_end(scene: &Scene) -> Result<(), String> {
    for desk in scene.desks.iter().filter(|desk| desk.world.exit().is_some()) {
        if let Some(program) = desk.world.programs().first() {
            return Err(format!("{program:?}"));
        }
    }
    Ok(())
}
