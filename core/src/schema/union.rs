//! The unions of all messages, and the envelope: made from the tables of methods, because no type
//! of ours has them all.

use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::kinds::{HOST_NOTICES, NOTICES, QUESTIONS, REQUESTS, kind};
use super::pascal;
use crate::wire::methods::METHODS;

/// Describes a type of the tables, by its name.
type Refer<'r> = dyn FnMut(&str) -> Value + 'r;

/// A description that is made here.
pub(super) struct Made {
    pub(super) name: &'static str,
    /// The description among others; what it refers to is added to the generator.
    pub(super) part: fn(&mut Refer<'_>) -> Value,
}

/// The unions and the parts of the envelope.
pub(super) const MADE: &[Made] = &[
    Made { name: "RequestId", part: |_| request_id() },
    Made { name: "JSONRPCMessage", part: |_| message() },
    Made { name: "JSONRPCRequest", part: |_| request() },
    Made { name: "JSONRPCNotification", part: |_| notification() },
    Made { name: "JSONRPCResponse", part: |_| response() },
    Made { name: "JSONRPCError", part: |_| error() },
    Made { name: "JSONRPCErrorError", part: |_| error_body() },
    Made { name: "ClientRequest", part: client_requests },
    Made { name: "ServerRequest", part: |refer| union(QUESTIONS, true, "Request", refer) },
    Made { name: "ServerNotification", part: |refer| union(NOTICES, false, "Notification", refer) },
    Made { name: "ClientNotification", part: |_| host_notices() },
];

/// The envelope's parts that another one refers to, by name.
pub(super) fn made(name: &str) -> Option<&'static Made> {
    MADE.iter().find(|made| made.name == name)
}

/// Describes a type of the tables among others.
pub(super) fn refer(generator: &mut SchemaGenerator, name: &str) -> Value {
    kind(name).map_or(Value::Bool(true), |kind| (kind.part)(generator).to_value())
}

/// The description of one made here, by itself.
pub(super) fn whole(made: &Made, mut generator: SchemaGenerator) -> Schema {
    let mut schema = (made.part)(&mut |name| refer(&mut generator, name));
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    add_made(&schema, &mut definitions);
    if let Value::Object(members) = &mut schema {
        let draft = "http://json-schema.org/draft-07/schema#";
        members.insert("$schema".to_owned(), draft.into());
        members.insert("title".to_owned(), made.name.into());
        if !definitions.is_empty() {
            members.insert("definitions".to_owned(), Value::Object(definitions));
        }
    }
    Schema::try_from(schema).unwrap_or_default()
}

/// Adds the parts of the envelope that a description refers to.
fn add_made(schema: &Value, definitions: &mut Map<String, Value>) {
    let mut names = Vec::new();
    super::each_reference(schema, &mut |name| names.push(name.to_owned()));
    for name in names {
        if let Some(made) = made(&name).filter(|_| !definitions.contains_key(&name)) {
            let part = (made.part)(&mut |_| Value::Bool(true));
            definitions.insert(name, part.clone());
            add_made(&part, definitions);
        }
    }
}

fn client_requests(refer: &mut Refer<'_>) -> Value {
    let variants = METHODS.iter().map(|row| {
        let params = REQUESTS.iter().find(|(method, _)| *method == row.name);
        let params = params.map(|(_, name)| refer(name));
        variant(row.name, true, "Request", params)
    });
    json!({ "oneOf": variants.collect::<Vec<_>>() })
}

fn union(methods: &[(&str, &str)], has_id: bool, base: &str, refer: &mut Refer<'_>) -> Value {
    let variants = methods.iter().map(|(method, params)| {
        let params = refer(params);
        variant(method, has_id, base, Some(params))
    });
    json!({ "oneOf": variants.collect::<Vec<_>>() })
}

/// One message. Params that there are must be there; others may be `null`.
fn variant(method: &str, has_id: bool, base: &str, params: Option<Value>) -> Value {
    let title = format!("{}{base}", pascal(method));
    let mut required = Vec::new();
    let mut members = Map::new();
    if has_id {
        required.push("id");
        members.insert("id".to_owned(), reference("RequestId"));
    }
    required.push("method");
    let name = json!({ "type": "string", "enum": [method], "title": format!("{title}Method") });
    members.insert("method".to_owned(), name);
    if params.is_some() {
        required.push("params");
    }
    members.insert("params".to_owned(), params.unwrap_or_else(|| json!({ "type": "null" })));
    json!({ "type": "object", "title": title, "required": required, "properties": members })
}

fn host_notices() -> Value {
    let variants = HOST_NOTICES.iter().map(|method| {
        let mut variant = variant(method, false, "Notification", None);
        if let Some(members) = variant["properties"].as_object_mut() {
            members.remove("params");
        }
        variant
    });
    json!({ "oneOf": variants.collect::<Vec<_>>() })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn request_id() -> Value {
    json!({ "anyOf": [{ "type": "string" }, { "type": "integer", "format": "int64" }] })
}

fn message() -> Value {
    let parts = ["JSONRPCRequest", "JSONRPCNotification", "JSONRPCResponse", "JSONRPCError"];
    json!({ "anyOf": parts.map(reference) })
}

fn request() -> Value {
    json!({
        "type": "object",
        "required": ["id", "method"],
        "properties": { "id": reference("RequestId"), "method": { "type": "string" }, "params": true },
    })
}

fn notification() -> Value {
    json!({
        "type": "object",
        "required": ["method"],
        "properties": { "method": { "type": "string" }, "params": true },
    })
}

fn response() -> Value {
    json!({
        "type": "object",
        "required": ["id", "result"],
        "properties": { "id": reference("RequestId"), "result": true },
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error", "id"],
        "properties": { "error": reference("JSONRPCErrorError"), "id": reference("RequestId") },
    })
}

fn error_body() -> Value {
    json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": { "type": "integer", "format": "int64" },
            "data": true,
            "message": { "type": "string" },
        },
    })
}
