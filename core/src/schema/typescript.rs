//! TypeScript out of the descriptions of all types.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Document, last_segment};

const HEAD: &str = "// GENERATED CODE! DO NOT MODIFY BY HAND!\n\n";
/// Stands for any JSON.
const ANY: &str = "JsonValue";
const ANY_FILE: &str = "serde_json/JsonValue";

/// One file for each type of the bundle, and an index for each folder.
pub(super) fn documents(bundle: &Value) -> Vec<Document> {
    let Some(all) = bundle.get("definitions").and_then(Value::as_object) else {
        return Vec::new();
    };
    let mut documents = Vec::new();
    let inner = all.get("v2").and_then(Value::as_object);
    let outer = all.iter().filter(|(name, _)| *name != "v2");
    let names = files("", outer, &mut documents);
    documents.push(index("", &names, Some("export * as v2 from \"./v2\";\n")));
    let names = files("v2/", inner.into_iter().flatten(), &mut documents);
    documents.push(index("v2/", &names, None));
    let any = format!(
        "export type {ANY} = number | string | boolean | Array<{ANY}> | \
         {{ [key in string]?: {ANY} }} | null;\n"
    );
    documents.push(document(ANY_FILE, &any));
    documents
}

fn files<'a>(
    folder: &str,
    schemas: impl Iterator<Item = (&'a String, &'a Value)>,
    documents: &mut Vec<Document>,
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, schema) in schemas {
        let mut writer = Writer { folder, name, imports: BTreeMap::new() };
        let kind = writer.kind(schema);
        let note = schema.get("description").and_then(Value::as_str).map(comment);
        let imports: String = writer
            .imports
            .iter()
            .map(|(name, path)| format!("import type {{ {name} }} from \"{path}\";\n"))
            .collect();
        let gap = if imports.is_empty() { "" } else { "\n" };
        let note = note.unwrap_or_default();
        let text = format!("{imports}{gap}{note}export type {name} = {kind};\n");
        documents.push(document(&format!("{folder}{name}"), &text));
        names.insert(name.clone());
    }
    names
}

fn index(folder: &str, names: &BTreeSet<String>, last: Option<&str>) -> Document {
    let mut text: String =
        names.iter().map(|name| format!("export type {{ {name} }} from \"./{name}\";\n")).collect();
    text.push_str(last.unwrap_or_default());
    document(&format!("{folder}index"), &text)
}

fn document(path: &str, text: &str) -> Document {
    Document { path: format!("{path}.ts"), text: format!("{HEAD}{text}") }
}

fn comment(text: &str) -> String {
    let lines = text.replace("*/", "* /");
    let lines: String = lines.lines().map(|line| format!(" * {line}\n")).collect();
    format!("/**\n{lines} */\n")
}

/// Writes one type and notes what it needs of other files.
struct Writer<'a> {
    folder: &'a str,
    name: &'a str,
    imports: BTreeMap<String, String>,
}

impl Writer<'_> {
    fn kind(&mut self, schema: &Value) -> String {
        let Some(members) = schema.as_object() else {
            return self.any();
        };
        if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
            return self.reference(reference);
        }
        let mut parts = Vec::new();
        for (key, joint) in [("oneOf", " | "), ("anyOf", " | "), ("allOf", " & ")] {
            if let Some(Value::Array(variants)) = members.get(key) {
                let kinds = variants.iter().map(|variant| self.kind(variant));
                parts.push(unique(kinds).join(joint));
            }
        }
        if members.contains_key("properties") || parts.is_empty() {
            parts.push(self.plain(members));
        }
        match parts.as_slice() {
            [only] => only.clone(),
            several => {
                several.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" & ")
            }
        }
    }

    /// A description that is no union and no reference.
    fn plain(&mut self, members: &Map<String, Value>) -> String {
        if let Some(Value::Array(values)) = members.get("enum") {
            return unique(values.iter().map(Value::to_string)).join(" | ");
        }
        let types: Vec<&str> = match members.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if members.contains_key("properties") => vec!["object"],
            _ => return self.any(),
        };
        unique(types.into_iter().map(|kind| match kind {
            "string" => "string".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => self.list(members),
            "object" => self.object(members),
            _ => self.any(),
        }))
        .join(" | ")
    }

    fn list(&mut self, members: &Map<String, Value>) -> String {
        match members.get("items") {
            Some(Value::Array(items)) => {
                let items: Vec<String> = items.iter().map(|item| self.kind(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Some(item) => format!("Array<{}>", self.kind(item)),
            None => format!("Array<{}>", self.any()),
        }
    }

    fn object(&mut self, members: &Map<String, Value>) -> String {
        let required: BTreeSet<&str> = members
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut parts = Vec::new();
        for (name, schema) in
            members.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let mark = if required.contains(name.as_str()) { "" } else { "?" };
            parts.push(format!("{}{mark}: {}", member(name), self.kind(schema)));
        }
        let others = members.get("additionalProperties").filter(|other| other.is_object());
        match (others, parts.is_empty()) {
            (Some(other), true) => format!("{{ [key in string]?: {} }}", self.kind(other)),
            (Some(other), false) => {
                let other = self.kind(other);
                format!("{{ {}, }} & {{ [key in string]?: {other} }}", parts.join(", "))
            }
            (None, true) if members.get("additionalProperties") == Some(&Value::Bool(true)) => {
                format!("{{ [key in string]?: {} }}", self.any())
            }
            (None, true) => "Record<string, never>".to_owned(),
            (None, false) => format!("{{ {}, }}", parts.join(", ")),
        }
    }

    fn reference(&mut self, reference: &str) -> String {
        let name = last_segment(reference).unwrap_or(reference).to_owned();
        let is_newer = reference.starts_with("#/definitions/v2/");
        let path = match (self.folder.is_empty(), is_newer) {
            (true, true) => format!("./v2/{name}"),
            (true, false) | (false, true) => format!("./{name}"),
            (false, false) => format!("../{name}"),
        };
        if name != self.name {
            self.imports.insert(name.clone(), path);
        }
        name
    }

    fn any(&mut self) -> String {
        let up = if self.folder.is_empty() { "./" } else { "../" };
        self.imports.insert(ANY.to_owned(), format!("{up}{ANY_FILE}"));
        ANY.to_owned()
    }
}

fn unique(kinds: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for kind in kinds {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    seen
}

/// A member's name, quoted where it is no identifier.
fn member(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    let starts = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if plain && starts { name.to_owned() } else { format!("{name:?}") }
}
