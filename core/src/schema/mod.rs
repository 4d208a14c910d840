//! Descriptions of the wire's types for programs that make clients: JSON schemas and TypeScript, in
//! the reference's layout (config.md §1.5).
//!
//! Owns: which type is described where, and how a description reads. Everything is made from the
//! types that the server itself decodes and encodes; only the unions of all messages are put
//! together here, out of the tables of methods.

mod kinds;
mod typescript;
mod union;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use kinds::{Folder, KINDS};
use union::MADE;

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its path below the folder that was asked for.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// The file that holds all descriptions.
const BUNDLE: &str = "codex_app_server_protocol.schemas.json";

/// The members whose constant value tells the variants of a union apart.
const TAGS: [&str; 6] = ["type", "method", "mode", "status", "role", "reason"];

/// JSON schemas, draft 7: one file a type, and one with all of them.
pub fn json_documents() -> Vec<Document> {
    let mut documents = Vec::new();
    let mut add = |path: String, schema: &Value| {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        documents.push(Document { path, text });
    };
    for kind in KINDS {
        let mut schema = (kind.whole)(generator()).to_value();
        schema["title"] = kind.name.into();
        tidy_all(&mut schema, kind.name);
        let folder = match kind.folder {
            Folder::Root => "",
            Folder::V1 => "v1/",
            Folder::V2 => "v2/",
        };
        add(format!("{folder}{}.json", kind.name), &schema);
    }
    for made in MADE {
        let mut schema = union::whole(made, generator()).to_value();
        tidy_all(&mut schema, made.name);
        add(format!("{}.json", made.name), &schema);
    }
    add(BUNDLE.to_owned(), &bundle());
    documents
}

/// TypeScript: one file a type, with an index for each folder.
pub fn typescript_documents() -> Vec<Document> {
    typescript::documents(&bundle())
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft07().into_generator()
}

/// All descriptions in one: those of the newer dialect under `definitions.v2`.
fn bundle() -> Value {
    let (mut shared, mut newer) = (generator(), generator());
    let mut own: [Map<String, Value>; 2] = Default::default();
    for kind in KINDS {
        let is_newer = is_newer(kind.name);
        let part = (kind.part)(if is_newer { &mut newer } else { &mut shared }).to_value();
        if part.get("$ref").and_then(Value::as_str).and_then(last_segment) != Some(kind.name) {
            own[usize::from(is_newer)].insert(kind.name.to_owned(), part);
        }
    }
    for made in MADE {
        let part = (made.part)(&mut |name| {
            let folder = if is_newer(name) { "v2/" } else { "" };
            json!({ "$ref": format!("#/definitions/{folder}{name}") })
        });
        own[0].insert(made.name.to_owned(), part);
    }
    let [mut outer, mut inner] = own;
    outer.extend(shared.take_definitions(true));
    inner.extend(newer.take_definitions(true));
    for (name, schema) in outer.iter_mut().chain(&mut inner) {
        tidy(schema, name);
    }
    for schema in inner.values_mut() {
        lead_to_newer(schema);
    }
    outer.insert("v2".to_owned(), Value::Object(inner));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "CodexAppServerProtocol",
        "type": "object",
        "definitions": outer,
    })
}

/// Whether a type is one of the newer dialect where all are together; the questions to the host are.
fn is_newer(name: &str) -> bool {
    kinds::kind(name).is_some_and(|kind| kind.folder == Folder::V2)
}

/// The name that a reference ends in.
fn last_segment(reference: &str) -> Option<&str> {
    reference.rsplit('/').next()
}

/// Visits the name of every type that a description refers to.
fn each_reference(schema: &Value, found: &mut dyn FnMut(&str)) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                last_segment(reference).into_iter().for_each(&mut *found);
            }
            members.values().for_each(|value| each_reference(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| each_reference(item, found)),
        _ => {}
    }
}

fn lead_to_newer(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/definitions/")
            {
                *reference = format!("#/definitions/v2/{name}");
            }
            members.values_mut().for_each(lead_to_newer);
        }
        Value::Array(items) => items.iter_mut().for_each(lead_to_newer),
        _ => {}
    }
}

/// Tidies a description by itself with all that it defines.
fn tidy_all(schema: &mut Value, name: &str) {
    if let Some(definitions) = schema.get_mut("definitions").and_then(Value::as_object_mut) {
        definitions.iter_mut().for_each(|(name, schema)| tidy(schema, name));
    }
    tidy(schema, name);
}

/// Constants as the only value of an enum, which every reader of draft 7 knows, and titles for the
/// variants of unions, which generators make names of.
fn tidy(schema: &mut Value, name: &str) {
    single_values(schema);
    for key in ["oneOf", "anyOf"] {
        let variants = schema.get_mut(key).and_then(Value::as_array_mut);
        for variant in variants.into_iter().flatten().filter_map(Value::as_object_mut) {
            entitle(variant, name);
        }
    }
}

fn entitle(variant: &mut Map<String, Value>, name: &str) {
    if variant.contains_key("title") || variant.contains_key("$ref") {
        return;
    }
    let Some(members) = variant.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let tag = TAGS.iter().find_map(|tag| {
        let value = members.get(*tag)?.get("enum")?.as_array()?;
        let [Value::String(value)] = value.as_slice() else { return None };
        Some((*tag, pascal(value)))
    });
    let title = match &tag {
        Some((_, value)) => format!("{value}{name}"),
        None => match members.keys().next().filter(|_| members.len() == 1) {
            Some(only) => format!("{}{name}", pascal(only)),
            None => return,
        },
    };
    if let Some((tag, _)) = tag
        && let Some(Value::Object(member)) = members.get_mut(tag)
    {
        member.insert("title".to_owned(), format!("{title}{}", pascal(tag)).into());
    }
    variant.insert("title".to_owned(), title.into());
}

fn single_values(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(value @ Value::String(_)) = members.get("const").cloned() {
                members.remove("const");
                members.insert("type".to_owned(), "string".into());
                members.insert("enum".to_owned(), Value::Array(vec![value]));
            }
            members.values_mut().for_each(single_values);
        }
        Value::Array(items) => items.iter_mut().for_each(single_values),
        _ => {}
    }
}

/// Words between `_` and `-` begin with a capital; other signs stay, as in `Thread/start`.
fn pascal(text: &str) -> String {
    let mut out = String::new();
    for word in text.split(['_', '-']) {
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}
