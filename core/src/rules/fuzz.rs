//! Fuzz body: no text of a rules file panics, a fault lies within the text, nobody gains rights by
//! it, and what is added to a file takes nothing from it.

use std::path::Path;

use super::fault::RulesError;
use super::load::read_rules;
use super::{Amendment, Decision, RulesFolder, RulesJob};
use crate::files::MemoryFiles;
use crate::limits;

/// Reads `data` as a rules file.
///
/// # Panics
/// If a rule of the room is broken.
pub fn fuzz_rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = read_rules(&text);
    assert!(read.rules.len() <= limits::RULES_PER_FILE_MAX);
    for rule in &read.rules {
        assert!(rule.rest.iter().all(|either| !either.is_empty()), "{rule:?}");
    }
    let is_faulty = read.fault.is_some();
    if let Some(fault) = read.fault {
        assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{fault:?}");
        let error = RulesError::at(Path::new("/f.rules"), &text, &fault);
        assert!(error.to_string().starts_with("failed to parse rules file /f.rules: "));
    }
    check_rights(&text, is_faulty);
    if !is_faulty && read.rules.len() < limits::RULES_PER_FILE_MAX {
        check_amended(&text, &read.rules);
    }
}

/// A folder that is not trusted allows nothing, and nor does a file at fault.
fn check_rights(text: &str, is_faulty: bool) {
    for trusted in [true, false] {
        let files = MemoryFiles::new().with("/w/rules/f.rules", text);
        let folders = vec![RulesFolder { folder: "/w".into(), trusted }];
        let loaded = RulesJob { folders }.run(&files);
        assert_eq!(loaded.errors.len(), usize::from(is_faulty), "{:?}", loaded.errors);
        let allows = loaded.rules.iter().any(|rule| rule.decision == Decision::Allow);
        assert!(!allows || (trusted && !is_faulty), "{:?}", loaded.rules);
    }
}

/// What the user allows from now on is one rule more.
fn check_amended(text: &str, before: &[super::Rule]) {
    let files = MemoryFiles::new().with("/h/rules/default.rules", text);
    let words = vec!["git".to_owned(), "it's \\ \"new\"".to_owned()];
    let amendment = Amendment { home: "/h".into(), words };
    if amendment.run(&files).is_err() {
        return;
    }
    let after = files.content("/h/rules/default.rules").unwrap_or_default();
    let after = read_rules(&String::from_utf8_lossy(&after));
    assert_eq!(after.fault, None, "{text:?}");
    let Some((added, kept)) = after.rules.split_last() else { panic!("{text:?}") };
    assert_eq!(kept, before, "{text:?}");
    assert_eq!((added.decision, added.program.as_str()), (Decision::Allow, "git"), "{text:?}");
}
