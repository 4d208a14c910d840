//! What the model is told about a patch (engine.md §6.4–6.5).

use std::fmt;

use super::parse::Section;

/// What was changed, with paths as written in the patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    added: Vec<String>,
    modified: Vec<String>,
    deleted: Vec<String>,
}

impl Report {
    pub(super) fn note(&mut self, section: &Section) {
        let (list, path) = match section {
            Section::Add { path, .. } => (&mut self.added, path),
            Section::Delete { path } => (&mut self.deleted, path),
            Section::Update { path, move_to, .. } => {
                (&mut self.modified, move_to.as_ref().unwrap_or(path))
            }
        };
        if !list.contains(path) {
            list.push(path.clone());
        }
    }
}

/// The text for the model, which is also what clients see as the tool's output.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Success. Updated the following files:")?;
        let lists = [("A", &self.added), ("M", &self.modified), ("D", &self.deleted)];
        for (letter, path) in lists.iter().flat_map(|(l, list)| list.iter().map(move |p| (l, p))) {
            writeln!(f, "{letter} {path}")?;
        }
        Ok(())
    }
}

/// The output of a call whose patch does not parse or does not fit. No item is shown for it.
pub(crate) fn verification_failed(error: &dyn std::error::Error) -> String {
    format!("apply_patch verification failed: {error}")
}

/// The output of a command that is a patch itself, without the call of the tool (engine.md §6.5).
pub(crate) const BARE_PATCH: &str = "apply_patch verification failed: patch detected without \
     explicit call to apply_patch. Rerun as [\"apply_patch\", \"<patch>\"]";
