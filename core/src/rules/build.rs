//! The one function of the language, `prefix_rule`.

use std::sync::Arc;

use super::policy::{Decision, Rule};
use super::value::Value;
use crate::limits;
use crate::tools::command::one_line;

const PARAMETERS: [&str; 5] = ["pattern", "decision", "match", "not_match", "justification"];

/// Makes the rules of one call and checks its examples. What is forbidden or prompted for counts
/// although the call is at fault, as far as it can be told.
pub(super) fn prefix_rule(
    given: &[(Option<&str>, Value)],
    rules: &mut Vec<Rule>,
) -> Result<(), String> {
    let [pattern, decision, matching, not_matching, justification] = arguments(given)?;
    let Some(pattern) = pattern else {
        return Err("Missing parameter `pattern` for call to `prefix_rule`".to_owned());
    };
    let pattern = read_pattern(pattern)?;
    let (decision, wrong) = match decision {
        None | Some(Value::None) => (Decision::Allow, None),
        Some(Value::Text(word)) => match Decision::of(word) {
            Some(decision) => (decision, None),
            // Whatever was meant, it was not to run unasked.
            None => (Decision::Prompt, Some(format!("invalid decision: {word}"))),
        },
        Some(other) => (Decision::Prompt, Some(mistyped("decision", "str", other))),
    };
    let justification = match justification {
        None | Some(Value::None) => Ok(None),
        Some(Value::Text(text)) if text.trim().is_empty() => {
            Err("invalid rule: justification cannot be empty".to_owned())
        }
        Some(Value::Text(text)) => Ok(Some(text.to_string())),
        Some(other) => Err(mistyped("justification", "str", other)),
    };
    let why = justification.as_ref().ok().cloned().flatten();
    let made = expand(pattern, decision, why.as_ref());
    if rules.len() + made.len() > limits::RULES_PER_FILE_MAX {
        return Err("too many rules".to_owned());
    }
    rules.extend(made.iter().cloned());
    justification?;
    wrong.map_or(Ok(()), Err)?;
    check_examples(&made, examples(matching, "match")?, examples(not_matching, "not_match")?)
}

/// The values of the parameters, in their order.
fn arguments<'v>(given: &'v [(Option<&str>, Value)]) -> Result<[Option<&'v Value>; 5], String> {
    let mut found = [None; 5];
    for (at, (name, value)) in given.iter().enumerate() {
        let place = match name {
            None => Some(at),
            Some(name) => PARAMETERS.iter().position(|parameter| parameter == name),
        };
        let place = place.and_then(|place| found.get_mut(place));
        match (place, name) {
            (Some(place @ None), _) => *place = Some(value),
            (Some(_), name) => {
                let name = name.or(PARAMETERS.get(at).copied()).unwrap_or_default();
                return Err(format!("Argument `{name}` occurs more than once"));
            }
            (None, Some(name)) => {
                return Err(format!(
                    "Found `{name}` extra named parameter(s) for call to `prefix_rule`"
                ));
            }
            (None, None) => {
                return Err(format!(
                    "Wrong number of positional arguments for call to `prefix_rule`, expected at \
                     most 5, got {}",
                    given.len()
                ));
            }
        }
    }
    Ok(found)
}

fn mistyped(parameter: &str, expected: &str, value: &Value) -> String {
    let actual = value.kind();
    format!(
        "Type of parameter `{parameter}` doesn't match, expected `{expected}`, actual `{actual}`"
    )
}

/// For each word of a command, the words that it may be; none of them is empty.
fn read_pattern(pattern: &Value) -> Result<Vec<Vec<String>>, String> {
    let invalid = |what: String| Err(format!("invalid pattern element: {what}"));
    let Value::List(items) = pattern else {
        return Err(mistyped("pattern", "list", pattern));
    };
    if items.values.is_empty() {
        return invalid("pattern cannot be empty".to_owned());
    }
    let mut found = Vec::new();
    for item in &items.values {
        found.push(match item {
            Value::Text(word) => vec![word.to_string()],
            Value::List(either) if either.values.is_empty() => {
                return invalid("pattern alternatives cannot be empty".to_owned());
            }
            Value::List(either) => match texts(&either.values) {
                Ok(words) => words,
                Err(kind) => {
                    return invalid(format!("pattern alternative must be a string (got {kind})"));
                }
            },
            other => {
                let kind = other.kind();
                return invalid(format!(
                    "pattern element must be a string or list of strings (got {kind})"
                ));
            }
        });
    }
    Ok(found)
}

/// The texts among values, or the type of the first that is none.
fn texts(values: &[Value]) -> Result<Vec<String>, &'static str> {
    let text = |value: &Value| match value {
        Value::Text(text) => Ok(text.to_string()),
        other => Err(other.kind()),
    };
    values.iter().map(text).collect()
}

/// A rule for each program that the pattern names.
fn expand(pattern: Vec<Vec<String>>, decision: Decision, why: Option<&String>) -> Vec<Rule> {
    let mut pattern = pattern.into_iter();
    let programs = pattern.next().unwrap_or_default();
    let rest: Arc<[_]> = pattern.collect();
    let rule =
        |program| Rule { program, rest: rest.clone(), decision, justification: why.cloned() };
    programs.into_iter().map(rule).collect()
}

fn examples(value: Option<&Value>, parameter: &str) -> Result<Vec<Vec<String>>, String> {
    match value {
        None | Some(Value::None) => Ok(Vec::new()),
        Some(Value::List(items)) => items.values.iter().map(example).collect(),
        Some(other) => Err(mistyped(parameter, "list", other)),
    }
}

fn example(value: &Value) -> Result<Vec<String>, String> {
    let invalid = |what: &str| Err(format!("invalid example: {what}"));
    match value {
        Value::Text(line) => match shlex::split(line) {
            None => invalid("example string has invalid shell syntax"),
            Some(words) if words.is_empty() => invalid("example cannot be an empty string"),
            Some(words) => Ok(words),
        },
        Value::List(items) if items.values.is_empty() => invalid("example cannot be an empty list"),
        Value::List(items) => match texts(&items.values) {
            Ok(words) => Ok(words),
            Err(kind) => invalid(&format!("example tokens must be strings (got {kind})")),
        },
        other => {
            let kind = other.kind();
            invalid(&format!("example must be a string or list of strings (got {kind})"))
        }
    }
}

fn check_examples(
    rules: &[Rule],
    matching: Vec<Vec<String>>,
    not_matching: Vec<Vec<String>>,
) -> Result<(), String> {
    let about = |words: &[String]| rules.iter().find(|rule| rule.matches(words).is_some());
    for words in not_matching {
        if let Some(rule) = about(&words) {
            let line = one_line(&words);
            return Err(format!("expected example to not match rule `{}`: {line}", rule.shown()));
        }
    }
    let unmatched = matching.iter().filter(|words| about(words).is_none());
    let unmatched: Vec<_> = unmatched.map(|words| one_line(words)).collect();
    if unmatched.is_empty() {
        return Ok(());
    }
    let rules: Vec<_> = rules.iter().map(Rule::shown).collect();
    Err(format!(
        "expected every example to match at least one rule. rules: {rules:?}; unmatched examples: \
         {unmatched:?}"
    ))
}
