//! What the model is told of the skills there are (engine.md §10.2).

use std::fmt::Write;

use super::Skill;

const INTRODUCTION: &str = "## Skills\n\
    A skill is a folder of instructions for one kind of task, kept on disk and opened when it is \
    wanted. These can be used in this session; each line has the name, what the skill is for, and \
    the file to open:\n";

const RULES: &str = "### How to use them\n\
    - A skill is wanted when the user names it (`$name` or plainly) or when the task is what its \
    description says. If several fit, take the fewest that cover the task. A skill does not carry \
    over to later turns unless it fits again or is named again.\n\
    - Open the skill's `SKILL.md` first and read as much as is needed to follow it. Paths in it \
    are seen from its own folder.\n\
    - Open further files of the skill only when the instructions point to them for the case at \
    hand. Run the scripts it brings and use its templates instead of writing the same anew.\n\
    - Say in one short line which skill is used and why. If one that fits is left out, say why.\n\
    - If a skill that was named is missing or cannot be read, say so briefly and go on without \
    it.";

/// The section about skills; none if there is no skill to use.
pub(crate) fn section(skills: &[Skill]) -> Option<String> {
    if skills.is_empty() {
        return None;
    }
    let mut text = INTRODUCTION.to_owned();
    for Skill { name, description, path, .. } in skills {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {name}: {description} (file: {path})");
    }
    text.push_str(RULES);
    Some(text)
}
