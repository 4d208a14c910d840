//! Owns: the tools of a thread that its client runs itself (engine.md §3.6, protocol.md §3.2).

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::wire::decode;
use crate::wire::v2::approval::DynamicToolCallResponse;
use crate::wire::v2::common::Json;
use crate::wire::v2::thread::DynamicToolSpec;

/// Names that belong to MCP.
const RESERVED: &str = "mcp";

/// The tools that a client has brought to a thread, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DynamicTools(Vec<DynamicToolSpec>);

/// A call of one of them.
#[derive(Debug)]
pub(crate) struct DynamicCall {
    /// The tool.
    pub(crate) tool: String,
    /// What the model gives it.
    pub(crate) arguments: Json,
}

impl DynamicTools {
    /// The tools, or why they cannot be had. Names are the client's business otherwise: one may
    /// stand in for a tool of ours.
    pub(crate) fn new(specs: Vec<DynamicToolSpec>) -> Result<Self, String> {
        let mut tools = Self::default();
        for spec in specs {
            tools.add(spec)?;
        }
        Ok(tools)
    }

    /// The tools that a stored thread was begun with; what cannot be had of them is left out.
    pub(crate) fn stored(specs: Vec<DynamicToolSpec>) -> Self {
        let mut tools = Self::default();
        for spec in specs {
            if let Err(why) = tools.add(spec) {
                tracing::warn!(why, "a tool of a stored thread is left out");
            }
        }
        tools
    }

    fn add(&mut self, mut spec: DynamicToolSpec) -> Result<(), String> {
        let name = spec.name.trim();
        if name.is_empty() {
            return Err("dynamic tool name must not be empty".to_owned());
        }
        if name != spec.name {
            let raw = &spec.name;
            return Err(format!("dynamic tool name has leading/trailing whitespace: {raw}"));
        }
        let rest = name.strip_prefix(RESERVED);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("__")) {
            return Err(format!("dynamic tool name is reserved: {name}"));
        }
        if self.has(name) {
            return Err(format!("duplicate dynamic tool name: {name}"));
        }
        let unsupported =
            |why| format!("dynamic tool input schema is not supported for {name}: {why}");
        spec.input_schema = parameters(&spec.input_schema).map_err(unsupported)?;
        self.0.push(spec);
        Ok(())
    }

    /// Whether one of them has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|spec| spec.name == name)
    }

    /// What the thread's file keeps of them; none if there are none.
    pub(crate) fn to_store(&self) -> Option<Vec<DynamicToolSpec>> {
        (!self.0.is_empty()).then(|| self.0.clone())
    }

    /// How the model is offered them.
    pub(super) fn offered(&self) -> impl Iterator<Item = Value> {
        self.0.iter().map(|DynamicToolSpec { name, description, input_schema }| {
            let parameters: Value = serde_json::from_str(input_schema.get()).unwrap_or_default();
            json!({
                "type": "function",
                "name": name,
                "description": description,
                "strict": false,
                "parameters": parameters,
            })
        })
    }
}

/// The schema as a model's backend takes it: that of an object. All else in it is handed on, unlike
/// in the reference, which drops most of it (engine.md §13, 30).
fn parameters(schema: &Json) -> Result<Json, String> {
    let schema: Value = serde_json::from_str(schema.get()).map_err(|error| error.to_string())?;
    let Value::Object(mut schema) = schema else {
        return Err("it is not an object".to_owned());
    };
    let is_object = match schema.get("type") {
        None => true,
        Some(Value::Array(types)) => types.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    };
    if !is_object {
        let kind = schema.get("type").cloned().unwrap_or_default();
        return Err(format!("its type is {kind}, not \"object\""));
    }
    schema.insert("type".to_owned(), "object".into());
    schema.entry("properties").or_insert_with(|| Map::new().into());
    to_raw_value(&schema).map(Json::new).map_err(|error| error.to_string())
}

/// What the model is told of the client's answer to a call (protocol.md §6).
pub(crate) fn dynamic_output(answer: Result<&RawValue, &RawValue>) -> String {
    let Ok(result) = answer else { return "dynamic tool request failed".to_owned() };
    match decode::value::<DynamicToolCallResponse>(result) {
        Ok(response) => response.output,
        Err(_) => "dynamic tool response was invalid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::DynamicTools;

    fn tools(specs: Value) -> Result<DynamicTools, String> {
        DynamicTools::new(serde_json::from_str(&specs.to_string()).expect("specs"))
    }

    fn named(name: &str) -> Value {
        json!({ "name": name, "description": "d", "inputSchema": {} })
    }

    /// The parameters that a tool is offered with, or why it is not.
    fn offered(schema: Value) -> Result<Value, String> {
        let spec = json!([{ "name": "t", "description": "d", "inputSchema": schema }]);
        let offered = tools(spec)?.offered().next().expect("one");
        assert_eq!((&offered["type"], &offered["strict"]), (&json!("function"), &json!(false)));
        Ok(offered["parameters"].clone())
    }

    #[test]
    fn names_are_checked_one_after_another() {
        let first = |names: &[&str]| {
            tools(names.iter().map(|name| named(name)).collect()).expect_err("refused")
        };
        assert_eq!(first(&[" "]), "dynamic tool name must not be empty");
        assert_eq!(first(&["a "]), "dynamic tool name has leading/trailing whitespace: a ");
        assert_eq!(first(&["mcp"]), "dynamic tool name is reserved: mcp");
        assert_eq!(first(&["ok", "mcp__x"]), "dynamic tool name is reserved: mcp__x");
        assert_eq!(first(&["a", "b", "a", ""]), "duplicate dynamic tool name: a");
        let known = tools(json!([named("mcp_x"), named("shell")])).expect("taken");
        assert!(known.has("mcp_x") && known.has("shell") && !known.has("mcp"));
    }

    #[test]
    fn schemas_are_handed_on_as_those_of_objects() {
        let bare = json!({ "type": "object", "properties": {} });
        assert_eq!(offered(json!({})), Ok(bare.clone()));
        assert_eq!(offered(json!({ "type": ["null", "object"] })), Ok(bare));
        let rich = json!({
            "type": "object",
            "properties": { "id": { "enum": [1, 2], "description": "which" } },
            "$defs": { "x": { "type": "integer" } },
            "required": ["id"],
        });
        assert_eq!(offered(rich.clone()), Ok(rich));
        let why = "dynamic tool input schema is not supported for t: \
                   its type is \"null\", not \"object\"";
        assert_eq!(offered(json!({ "type": "null" })), Err(why.to_owned()));
        assert!(offered(json!(true)).is_err_and(|why| why.ends_with("it is not an object")));
    }

    #[test]
    fn of_stored_tools_those_that_can_be_had_are_taken() {
        let specs = json!([named("a"), named("mcp"), named("a"), named("b")]);
        let stored = DynamicTools::stored(serde_json::from_str(&specs.to_string()).expect("specs"));
        assert!(stored.has("a") && stored.has("b") && !stored.has("mcp"));
        assert_eq!(stored.to_store().map(|specs| specs.len()), Some(2));
    }
}
