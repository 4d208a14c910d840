//! YAML as far as skills need it: text, lists and mappings, read from events of the parser so that
//! nothing is built that the text does not spell out.

use saphyr_parser::{Event, Parser, ScanError, Span};

use crate::limits;

/// A value with where it begins, for error texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Line and column, from 1.
    at: (usize, usize),
}

/// What a value is. Every scalar is text: whoever reads it knows what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The text, if it is text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The member of a mapping.
    pub(super) fn member(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(name, _)| name == key).map(|(_, v)| v),
            Value::Text(_) | Value::List(_) => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            Value::Text(_) | Value::Map(_) => &[],
        }
    }

    /// Says that the value at `path` should have been something else.
    pub(super) fn misfit(&self, path: &str, expected: &str) -> String {
        let found = match &self.value {
            Value::Text(_) => "string",
            Value::List(_) => "sequence",
            Value::Map(_) => "map",
        };
        let (line, column) = self.at;
        format!("{path}: invalid type: {found}, expected {expected} at line {line} column {column}")
    }
}

/// Reads the first document of a text; none if there is nothing in it. The error is in the words
/// of the parser, with line and column.
pub(super) fn read(text: &str) -> Result<Option<Node>, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| fault(&error))?;
        let at = position(span);
        let done = match event {
            Event::Scalar(text, ..) => Node { value: Value::Text(text.into_owned()), at },
            Event::SequenceStart(..) => {
                begin(&mut open, Open { value: Value::List(Vec::new()), key: None, at })?;
                continue;
            }
            Event::MappingStart(..) => {
                begin(&mut open, Open { value: Value::Map(Vec::new()), key: None, at })?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open { value, at, .. }) => Node { value, at },
                None => return Ok(None),
            },
            // Nothing in a skill's head repeats, and repetition is how small texts become large.
            Event::Alias(_) => return Err(format!("an alias is not allowed{}", place(at))),
            Event::DocumentEnd | Event::StreamEnd => return Ok(None),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        match open.last_mut() {
            None => return Ok(Some(done)),
            Some(parent) => parent.take(done)?,
        }
    }
    Ok(None)
}

/// A list or mapping whose end has not come.
struct Open {
    value: Value,
    /// The key whose value comes next.
    key: Option<String>,
    at: (usize, usize),
}

impl Open {
    fn take(&mut self, node: Node) -> Result<(), String> {
        match (&mut self.value, self.key.take()) {
            (Value::List(elements), _) => elements.push(node),
            (Value::Map(members), Some(key)) => members.push((key, node)),
            (Value::Map(members), None) => {
                let at = place(node.at);
                let Value::Text(key) = node.value else {
                    return Err(format!("a key must be a string{at}"));
                };
                if members.iter().any(|(name, _)| *name == key) {
                    return Err(format!("duplicate field `{key}`{at}"));
                }
                self.key = Some(key);
            }
            (Value::Text(_), _) => {}
        }
        Ok(())
    }
}

fn begin(open: &mut Vec<Open>, next: Open) -> Result<(), String> {
    if open.len() >= limits::SKILL_YAML_DEPTH_MAX {
        return Err(format!("recursion limit exceeded{}", place(next.at)));
    }
    open.push(next);
    Ok(())
}

fn position(span: Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn place((line, column): (usize, usize)) -> String {
    format!(" at line {line} column {column}")
}

fn fault(error: &ScanError) -> String {
    let at = (error.marker().line(), error.marker().col() + 1);
    format!("{}{}", error.info(), place(at))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn members_are_found_by_name() {
        let node = read("a: 'x'\nb: {c: [1, two]}\n").expect("YAML").expect("a value");
        assert_eq!(node.member("a").and_then(|a| a.text()), Some("x"));
        let list = node.member("b").and_then(|b| b.member("c")).expect("a list");
        let texts: Vec<_> = list.elements().iter().filter_map(|e| e.text()).collect();
        assert_eq!(texts, ["1", "two"]);
        assert_eq!(read("").expect("YAML"), None);
        assert_eq!(read("# only this\n").expect("YAML"), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = |text: &str| read(text).expect_err(text);
        assert!(error("a: [").contains(" at line "), "{}", error("a: ["));
        assert_eq!(error("a: 1\na: 2"), "duplicate field `a` at line 2 column 1");
        assert_eq!(error("a: &x 1\nb: *x"), "an alias is not allowed at line 2 column 4");
        assert_eq!(error("? [a]\n: b"), "a key must be a string at line 1 column 3");
        let deep = "[".repeat(500);
        assert!(error(&deep).starts_with("recursion limit exceeded"), "{}", error(&deep));
    }
}
