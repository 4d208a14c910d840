//! What the tool promises, by rule, by property and under faults.

mod cases;
mod commands;
mod faults;
mod properties;
mod turns;

use std::path::Path;

use super::{Plan, parse, plan};
use crate::files::MemoryFiles;

/// The plan for a patch in `/w`, or the text of the error.
fn planned(files: &MemoryFiles, patch: &str) -> Result<Plan, String> {
    let patch = parse(patch).map_err(|error| error.to_string())?;
    plan(files, Path::new("/w"), &patch).map_err(|error| error.to_string())
}

/// Applies sections; the text for the model either way.
fn apply(files: &MemoryFiles, sections: &str) -> Result<String, String> {
    let plan = planned(files, &framed(sections))?;
    plan.commit(files).map(ToString::to_string).map_err(|error| error.to_string())
}

fn framed(sections: &str) -> String {
    format!("*** Begin Patch\n{sections}\n*** End Patch")
}

fn text(files: &MemoryFiles, path: &str) -> Option<String> {
    files.content(path).map(|bytes| String::from_utf8(bytes).expect("is text"))
}
