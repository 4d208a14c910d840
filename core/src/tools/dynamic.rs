//! Tools that the client runs itself, given when a thread is started (engine.md §3.1, §3.7).
//!
//! Invariant: what was checked here is offered in a form that the API takes; nothing that a client
//! hands in can make each request of its thread fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::limits;
use crate::wire::decode;
use crate::wire::refusal::Refusal;
use crate::wire::v2::approval::DynamicToolCallResponse;
use crate::wire::v2::common::Json;
use crate::wire::v2::thread::DynamicToolSpec;

/// A call of a tool that the client runs.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct DynamicCall {
    /// The tool.
    pub(crate) tool: String,
    /// What the model gives it.
    pub(crate) arguments: Json,
}

/// What the model is told of the client's answer to a call (protocol.md §6).
pub(crate) fn output(answer: Result<&RawValue, &RawValue>) -> String {
    let Ok(result) = answer else { return "dynamic tool request failed".to_owned() };
    match decode::value::<DynamicToolCallResponse>(result) {
        Ok(response) => response.output,
        Err(_) => "dynamic tool response was invalid".to_owned(),
    }
}

/// Checks tools as a client gives them; the first fault is told (protocol.md §3.2).
pub(crate) fn check(specs: &[DynamicToolSpec]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    let bytes: usize = specs.iter().map(|s| s.description.len() + s.input_schema.get().len()).sum();
    if specs.len() > limits::DYNAMIC_TOOLS_MAX || bytes > limits::DYNAMIC_TOOLS_BYTES_MAX {
        return Err(Refusal::invalid("too many dynamic tools"));
    }
    for spec in specs {
        check_name(&spec.name)?;
        if !names.insert(spec.name.as_str()) {
            return Err(Refusal::invalid(format!("duplicate dynamic tool name: {}", spec.name)));
        }
        parameters(spec).map_err(|detail| {
            let name = &spec.name;
            let text = format!("dynamic tool input schema is not supported for {name}: {detail}");
            Refusal::invalid(text)
        })?;
    }
    Ok(())
}

fn check_name(raw: &str) -> Result<(), Refusal> {
    let name = raw.trim();
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let fault = if name.is_empty() {
        "dynamic tool name must not be empty".to_owned()
    } else if name != raw {
        format!("dynamic tool name has leading/trailing whitespace: {raw}")
    } else if name == "mcp" || name.starts_with("mcp__") {
        format!("dynamic tool name is reserved: {name}")
    } else if name.len() > limits::TOOL_NAME_BYTES_MAX || !name.chars().all(is_letter) {
        // The API refuses the whole request because of such a name.
        format!("dynamic tool name is not supported: {name}")
    } else {
        return Ok(());
    };
    Err(Refusal::invalid(fault))
}

/// The tools of a request with the client's behind them. One that has the name of a tool of ours
/// stands in its place.
pub(crate) fn offered_with(tools: Arc<str>, specs: &[DynamicToolSpec]) -> Arc<str> {
    let theirs: Vec<Value> = specs.iter().filter_map(tool).collect();
    if theirs.is_empty() {
        return tools;
    }
    let mut offered: Vec<Value> = serde_json::from_str(&tools).unwrap_or_default();
    offered.retain(|own| {
        let name = own.get("name");
        name.is_none() || theirs.iter().all(|tool| tool.get("name") != name)
    });
    offered.extend(theirs);
    Value::Array(offered).to_string().into()
}

fn tool(spec: &DynamicToolSpec) -> Option<Value> {
    let parameters = parameters(spec).ok()?;
    let (name, description) = (&spec.name, &spec.description);
    Some(json!({
        "type": "function",
        "name": name,
        "description": description,
        "strict": false,
        "parameters": parameters,
    }))
}

/// The schema of the arguments, made whole.
fn parameters(spec: &DynamicToolSpec) -> Result<Value, String> {
    let schema = serde_json::from_str(spec.input_schema.get()).map_err(|err| err.to_string())?;
    whole(schema)
}

/// Types that the API knows, in the order in which one is taken of several.
const TYPES: [&str; 6] = ["object", "array", "string", "number", "integer", "boolean"];

/// Members that hold one schema, and those that hold several.
const HOLDS_ONE: [&str; 2] = ["items", "additionalProperties"];
const HOLDS_SEVERAL: [&str; 4] = ["oneOf", "anyOf", "allOf", "prefixItems"];

/// Adds what the API wants and a schema may leave out: types, properties, items. What else stands in
/// it is kept. Recursion ends with the reader's own bound on nesting.
fn whole(schema: Value) -> Result<Value, String> {
    let mut schema = match schema {
        Value::Bool(_) => return Ok(json!({ "type": "string" })),
        Value::Object(schema) => schema,
        other => return Err(format!("a schema is an object, not {other}")),
    };
    for name in HOLDS_ONE {
        if let Some(held) = schema.get_mut(name).filter(|held| name == "items" || held.is_object())
        {
            *held = whole(held.take())?;
        }
    }
    for name in HOLDS_SEVERAL {
        if let Some(Value::Array(several)) = schema.get_mut(name) {
            for held in several {
                *held = whole(held.take())?;
            }
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for held in properties.values_mut() {
            *held = whole(held.take())?;
        }
    }
    let kind = kind_of(&schema)?;
    match kind {
        "object" if !schema.get("properties").is_some_and(Value::is_object) => {
            schema.insert("properties".to_owned(), json!({}));
        }
        "array" if !schema.contains_key("items") => {
            schema.insert("items".to_owned(), json!({ "type": "string" }));
        }
        _ => {}
    }
    schema.insert("type".to_owned(), kind.into());
    Ok(Value::Object(schema))
}

/// The type of a schema; guessed from what else it says if it names none.
fn kind_of(schema: &Map<String, Value>) -> Result<&'static str, String> {
    let known = |name: &str| TYPES.into_iter().find(|kind| *kind == name);
    match schema.get("type") {
        Some(Value::String(name)) => known(name).ok_or_else(|| format!("unknown type `{name}`")),
        Some(Value::Array(names)) => TYPES
            .into_iter()
            .find(|kind| names.iter().any(|name| name == kind))
            .ok_or_else(|| "none of its types is supported".to_owned()),
        Some(other) => Err(format!("a type is a name, not {other}")),
        None => Ok(guess(schema)),
    }
}

fn guess(schema: &Map<String, Value>) -> &'static str {
    const SIGNS: [(&str, &[&str]); 4] = [
        ("object", &["properties", "required", "additionalProperties"]),
        ("array", &["items", "prefixItems"]),
        ("string", &["enum", "const", "format"]),
        ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    ];
    let has = |members: &[&str]| members.iter().any(|member| schema.contains_key(*member));
    SIGNS.iter().find(|(_, members)| has(members)).map_or("string", |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, schema: &Value) -> DynamicToolSpec {
        let value = json!({"name": name, "description": "d", "inputSchema": schema});
        serde_json::from_value(value).expect("a tool")
    }

    fn fault(specs: &[DynamicToolSpec]) -> Option<String> {
        check(specs).err().map(|refusal| refusal.message)
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let any = json!({});
        let long = "x".repeat(65);
        for (name, text) in [
            ("", "dynamic tool name must not be empty"),
            (" ", "dynamic tool name must not be empty"),
            ("a ", "dynamic tool name has leading/trailing whitespace: a "),
            ("mcp", "dynamic tool name is reserved: mcp"),
            ("mcp__x", "dynamic tool name is reserved: mcp__x"),
            ("a b", "dynamic tool name is not supported: a b"),
            (&long, &format!("dynamic tool name is not supported: {long}")),
        ] {
            assert_eq!(fault(&[spec(name, &any)]).as_deref(), Some(text));
        }
        let twice = [spec("a", &any), spec("a", &any)];
        assert_eq!(fault(&twice).as_deref(), Some("duplicate dynamic tool name: a"));
        assert_eq!(fault(&[spec("a", &any), spec("shell", &any)]), None);
        let many: Vec<_> =
            (0..=limits::DYNAMIC_TOOLS_MAX).map(|n| spec(&format!("t{n}"), &any)).collect();
        assert_eq!(fault(&many).as_deref(), Some("too many dynamic tools"));
    }

    #[test]
    fn schemas_are_made_whole() {
        for (given, made) in [
            (json!(true), json!({"type": "string"})),
            (json!({}), json!({"type": "string"})),
            (json!({"type": "object"}), json!({"type": "object", "properties": {}})),
            (json!({"required": []}), json!({"type": "object", "required": [], "properties": {}})),
            (json!({"type": "array"}), json!({"type": "array", "items": {"type": "string"}})),
            (json!({"items": false}), json!({"type": "array", "items": {"type": "string"}})),
            (json!({"enum": ["a"]}), json!({"type": "string", "enum": ["a"]})),
            (json!({"minimum": 1}), json!({"type": "number", "minimum": 1})),
            (json!({"type": ["null", "integer"]}), json!({"type": "integer"})),
            (
                json!({"properties": {"a": {"maximum": 3, "description": "n"}}, "additionalProperties": {}}),
                json!({"type": "object", "additionalProperties": {"type": "string"},
                    "properties": {"a": {"type": "number", "maximum": 3, "description": "n"}}}),
            ),
            (
                json!({"anyOf": [{"type": "integer"}, true]}),
                json!({"type": "string", "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            ),
        ] {
            assert_eq!(whole(given.clone()), Ok(made), "{given}");
        }
    }

    #[test]
    fn schemas_that_do_not_fit_are_refused() {
        for schema in [
            json!({"type": "null"}),
            json!({"type": ["null"]}),
            json!({"type": 3}),
            json!("object"),
            json!({"properties": {"a": {"type": "any"}}}),
        ] {
            let text = fault(&[spec("t", &schema)]).unwrap_or_default();
            let prefix = "dynamic tool input schema is not supported for t: ";
            assert!(text.starts_with(prefix), "{schema}: {text}");
        }
    }

    #[test]
    fn the_clients_tools_stand_behind_ours_or_in_their_place() {
        let ours = r#"[{"type":"function","name":"a"},{"type":"web_search"}]"#;
        let theirs = [spec("b", &json!({})), spec("a", &json!({}))];
        let offered = offered_with(ours.into(), &theirs);
        let offered: Vec<Value> = serde_json::from_str(&offered).expect("an array");
        let names: Vec<_> = offered.iter().map(|tool| tool["name"].as_str()).collect();
        assert_eq!(names, [None, Some("b"), Some("a")]);
        let same: Arc<str> = ours.into();
        assert!(Arc::ptr_eq(&offered_with(same.clone(), &[]), &same));
    }
}
