//! What a fuzz target runs on any bytes.

use std::path::Path;

use super::yaml::{self, Node, Value};
use super::{head, metadata};
use crate::files::MemoryFiles;
use crate::limits;

/// Reads bytes as the head of a skill, which must end in a head within its limits or in an error
/// that says something; as YAML; and as what may lie beside a skill.
///
/// # Panics
/// If that is not so.
pub fn fuzz_skill(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    check_head(&text);
    match yaml::read(&text) {
        Ok(Some(node)) => {
            let spelled = check_node(&node, limits::SKILL_YAML_DEPTH_MAX);
            // An escape of two characters may stand for one of three bytes, and no more.
            assert!(spelled <= 2 * text.len() + 1, "{spelled} bytes out of {}", text.len());
        }
        Ok(None) => {}
        Err(message) => assert!(message.contains(" at line "), "{message}"),
    }
    check_metadata(&text);
}

fn check_head(text: &str) {
    let read = head::read(text);
    match &read {
        Ok(head) => {
            assert!(!head.name.is_empty() && !head.description.is_empty());
            let short = head.short_description.as_deref().unwrap_or("none");
            for (text, max) in [
                (head.name.as_str(), limits::SKILL_NAME_CHARS_MAX),
                (&head.description, limits::SKILL_TEXT_CHARS_MAX),
                (short, limits::SKILL_TEXT_CHARS_MAX),
            ] {
                assert_eq!(text, head::one_line(text));
                assert!(!head::is_longer(text, max));
            }
            // What stands below the head is no part of it.
            let longer = format!("{text}\n---\nname: [\n");
            assert_eq!(head::read(&longer).as_ref(), Ok(head));
        }
        Err(message) => assert!(!message.is_empty()),
    }
    if !text.contains('\r') {
        assert_eq!(head::read(&text.replace('\n', "\r\n")), read, "with carriage returns");
    }
}

/// The bytes that a node's texts have. Keys are told apart, and nothing lies too deep.
fn check_node(node: &Node, depth: usize) -> usize {
    let inside = depth.checked_sub(1);
    match &node.value {
        Value::Text(text) => text.len(),
        Value::List(elements) => {
            let inside = inside.expect("within the depth");
            elements.iter().map(|element| check_node(element, inside)).sum()
        }
        Value::Map(members) => {
            let inside = inside.expect("within the depth");
            let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
            let keys: usize = keys.iter().map(|key| key.len()).sum();
            keys + members.iter().map(|(_, member)| check_node(member, inside)).sum::<usize>()
        }
    }
}

/// Pictures stay within the skill's own folder.
fn check_metadata(text: &str) {
    let files = MemoryFiles::new().with("/s/a/agents/openai.yaml", text);
    let found = metadata::read(&files, Path::new("/s/a"));
    if let Some(interface) = found.interface {
        for icon in [interface.icon_small, interface.icon_large].into_iter().flatten() {
            let is_inside = icon.starts_with("/s/a/assets/") && !icon.contains("/../");
            assert!(is_inside && !icon.ends_with("/.."), "{icon}");
        }
    }
    assert!(found.dependencies.is_none_or(|needs| !needs.tools.is_empty()));
}
