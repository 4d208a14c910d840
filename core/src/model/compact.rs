//! Owns: what the model is asked when a history is made short, and how its summary is marked, so
//! that it is never taken for the user's own words (engine.md §7.2).
//! Never: decides when that happens, or what else of the history stays.

/// Told to the user after each time.
pub(crate) const WARNING: &str = "This thread was shortened to a summary. Long threads that are \
     shortened again and again make the model less accurate; a new thread for a new task helps.";

/// Stands before the error when the backend was to make the history short and failed.
pub(crate) const REMOTE_FAILED: &str = "Error running remote compact task: ";

/// What the model is asked, unless the configuration has other words.
pub(crate) fn prompt() -> &'static str {
    include_str!("prompts/compact.md").trim_end()
}

fn prefix() -> &'static str {
    include_str!("prompts/compact_prefix.md").trim_end()
}

/// The model's answer as the history has it.
pub(crate) fn marked(summary: &str) -> String {
    let summary = match summary.trim() {
        "" => "(no summary available)",
        summary => summary,
    };
    format!("{}\n{summary}", prefix())
}

/// Whether a text is such a summary.
pub(crate) fn is_marked(text: &str) -> bool {
    text.strip_prefix(prefix()).is_some_and(|rest| rest.starts_with('\n'))
}

/// How the older dialect says that the oldest items had to be left out of what was summed up.
pub(crate) fn trimmed(items: usize) -> String {
    format!(
        "Trimmed {items} older thread item(s) before compacting so the prompt fits the model \
         context window."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_known_again() {
        assert!(is_marked(&marked("did it")) && is_marked(&marked(" ")));
        assert!(marked(" \n").ends_with("\n(no summary available)"));
        assert!(!is_marked("did it") && !is_marked(prefix()));
        assert!(!is_marked(&format!("{} x", prefix())));
    }
}
