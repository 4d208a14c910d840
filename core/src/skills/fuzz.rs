//! What a fuzz target runs on any bytes.

use super::head;

/// Reads bytes as the head of a skill, which must end in a head within its limits or in an error
/// that says something.
///
/// # Panics
/// If that is not so.
pub fn fuzz_skill(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match head::read(&text) {
        Ok(head) => {
            assert!(!head.name.is_empty() && !head.description.is_empty());
            assert_eq!(head.name, head::one_line(&head.name));
            assert!(!head::is_longer(&head.name, crate::limits::SKILL_NAME_CHARS_MAX));
        }
        Err(message) => assert!(!message.is_empty()),
    }
}
