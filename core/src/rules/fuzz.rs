//! Fuzz body: no text of a rules file panics, and a fault lies within the text.

use std::path::Path;

use super::fault::RulesError;
use super::load::read_rules;

/// Reads `data` as a rules file.
pub fn fuzz_rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = read_rules(&text);
    for rule in &read.rules {
        assert!(rule.rest.iter().all(|either| !either.is_empty()), "{rule:?}");
    }
    if let Some(fault) = read.fault {
        assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{fault:?}");
        let error = RulesError::at(Path::new("/f.rules"), &text, &fault);
        assert!(error.to_string().starts_with("failed to parse rules file /f.rules: "));
    }
}
