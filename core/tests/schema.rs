//! Every type of the wire against the reference's JSON schemas: members, which of them must be
//! there, nullability, values of enums, variants of unions.
//!
//! Runs with the feature `schema`, where the schemas lie beside the project.
#![cfg(feature = "schema")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use understudy_core::schema::{json_documents, typescript_documents};
use understudy_core::wire::methods::METHODS;

const BUNDLE: &str = "codex_app_server_protocol.schemas.json";

/// Differences that are meant, by place, with the reason.
const MEANT: &[(&str, &str)] = &[
    // Added for newer clients (clients.md, table at the end; auth.md §14).
    ("Thread.status: added", "clients.md"),
    ("Thread.ephemeral: added", "clients.md"),
    ("Thread.sessionId: added", "clients.md"),
    ("Thread.projectId: added", "clients.md"),
    ("ThreadStartResponse.approvalsReviewer: added", "clients.md"),
    ("ThreadResumeResponse.approvalsReviewer: added", "clients.md"),
    ("ThreadForkResponse.approvalsReviewer: added", "clients.md"),
    ("Model.hidden: added", "clients.md"),
    ("GetAccountRateLimitsResponse.rateLimitsByLimitId: added", "auth.md §14.2"),
    ("ItemStartedNotification.startedAtMs: added", "clients.md"),
    ("ItemCompletedNotification.completedAtMs: added", "clients.md"),
    ("CommandExecutionRequestApprovalParams.startedAtMs: added", "clients.md"),
    ("FileChangeRequestApprovalParams.startedAtMs: added", "clients.md"),
    ("ThreadItem<agentMessage>.phase: added", "clients.md"),
    ("ResponseItem<message>.phase: added", "clients.md"),
    ("InitializeParams.capabilities: added", "clients.md §1"),
    ("LoginAccountParams<chatgptDeviceCode>: added", "auth.md §14.2"),
    ("LoginAccountResponse<chatgptDeviceCode>: added", "auth.md §14.2"),
    // External tokens come in two shapes (auth.md §14.1), so that neither id is required.
    ("LoginAccountParams<chatgptAuthTokens>.chatgptAccountId: added", "auth.md §14.1"),
    ("LoginAccountParams<chatgptAuthTokens>.chatgptPlanType: added", "auth.md §14.1"),
    ("LoginAccountParams<chatgptAuthTokens>.idToken: required", "auth.md §14.1"),
    ("LoginAccountParams<chatgptAuthTokens>.idToken: null", "auth.md §14.1"),
    ("LoginAccountParams<chatgptAuthTokens>.accessToken: required", "auth.md §14.1"),
    ("LoginAccountParams<chatgptAuthTokens>.accessToken: null", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.chatgptAccountId: added", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.chatgptPlanType: added", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.idToken: required", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.idToken: null", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.accessToken: required", "auth.md §14.1"),
    ("ChatgptAuthTokensRefreshResponse.accessToken: null", "auth.md §14.1"),
    // Reading is more tolerant than the reference's.
    ("ResponseItem<reasoning>.id: required", "not on disk, nor in requests (engine.md §1.11)"),
    // The schema shows the reference's inner type; on the wire it is a string or a list.
    ("FunctionCallOutputPayload<content>: missing", "engine.md §1.11"),
    ("FunctionCallOutputPayload<list>: added", "engine.md §1.11"),
    ("FunctionCallOutputPayload<string>: added", "engine.md §1.11"),
    // Handed on as an MCP server wrote it.
    ("ContentBlock: any", "handed on"),
    ("Resource: any", "handed on"),
    ("ResourceTemplate: any", "handed on"),
    ("Tool: any", "handed on"),
    // Handed on as it is stored.
    ("EventMsg: any", "handed on"),
];

#[test]
fn types_agree_with_the_reference() {
    let Some(files) = reference_files() else {
        return;
    };
    let mut ours: BTreeMap<String, Value> = json_documents()
        .into_iter()
        .map(|document| {
            let schema = serde_json::from_str(&document.text).expect("a schema is JSON");
            (document.path, schema)
        })
        .collect();
    let mut found = BTreeSet::new();
    for (path, text) in &files {
        let theirs: Value = serde_json::from_str(text).expect("a schema is JSON");
        let Some(ours) = ours.remove(path) else {
            found.insert(format!("{path}: missing"));
            continue;
        };
        if path == BUNDLE {
            assert_eq!(ours["title"], theirs["title"]);
            continue;
        }
        let name = path.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
        let mut comparison =
            Comparison { theirs: &theirs, ours: &ours, seen: BTreeSet::new(), found };
        comparison.node(&theirs, &ours, name.expect("a name"));
        found = comparison.found;
    }
    assert!(ours.is_empty(), "not the reference's: {:?}", ours.keys());
    let meant: BTreeSet<String> = MEANT.iter().map(|(place, _)| (*place).to_owned()).collect();
    let wrong: Vec<&String> = found.difference(&meant).collect();
    let stale: Vec<&String> = meant.difference(&found).collect();
    assert!(wrong.is_empty(), "differences: {wrong:#?}");
    assert!(stale.is_empty(), "meant, but not different: {stale:#?}");
}

/// The members of some types that clients depend on, those that must be there first.
const MEMBERS: &[(&str, &str, &[&str], &[&str])] = &[
    ("v2/SkillsListResponse.json", "", &["data"], &[]),
    (
        "v2/SkillsListResponse.json",
        "SkillMetadata",
        &["description", "enabled", "name", "path", "scope"],
        &["dependencies", "interface", "shortDescription"],
    ),
    ("v2/TurnStartResponse.json", "", &["turn"], &[]),
    ("v2/TurnStartResponse.json", "Turn", &["id", "items", "status"], &["error"]),
    ("v2/ThreadListResponse.json", "", &["data"], &["nextCursor"]),
    ("FuzzyFileSearchParams.json", "", &["query", "roots"], &["cancellationToken"]),
    (
        "FuzzyFileSearchResponse.json",
        "FuzzyFileSearchResult",
        &["file_name", "path", "root", "score"],
        &["indices"],
    ),
    ("v1/LoginApiKeyParams.json", "", &["apiKey"], &[]),
    ("JSONRPCError.json", "", &["error", "id"], &[]),
];

#[test]
fn members_are_as_clients_know_them() {
    let documents = json_documents();
    for (path, name, required, optional) in MEMBERS {
        let document = documents.iter().find(|document| document.path == *path);
        let schema: Value =
            serde_json::from_str(&document.expect(path).text).expect("a schema is JSON");
        let schema = if name.is_empty() { &schema } else { &schema["definitions"][name] };
        let texts = |list: &Value| -> BTreeSet<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect()
        };
        let all = schema["properties"].as_object().expect(path).keys().cloned();
        let must: BTreeSet<String> = required.iter().map(|name| (*name).to_owned()).collect();
        let may = optional.iter().map(|name| (*name).to_owned());
        assert_eq!(texts(&schema["required"]), must, "{path} {name}");
        assert_eq!(all.collect::<BTreeSet<_>>(), must.iter().cloned().chain(may).collect());
    }
}

#[test]
fn every_method_is_in_the_union_in_order_and_every_reference_leads_somewhere() {
    let documents = json_documents();
    for document in &documents {
        let schema: Value = serde_json::from_str(&document.text).expect("a schema is JSON");
        let mut references = Vec::new();
        references_of(&schema, &mut references);
        for reference in references {
            let place = reference.strip_prefix('#').expect("within the file");
            assert!(schema.pointer(place).is_some(), "{}: {reference}", document.path);
        }
        if document.path == "ClientRequest.json" {
            let variants = schema["oneOf"].as_array().expect("variants");
            let named = variants.iter().map(|v| v["properties"]["method"]["enum"][0].as_str());
            let rows = METHODS.iter().map(|row| Some(row.name));
            assert!(named.eq(rows), "{variants:#?}");
        }
    }
}

#[test]
fn typescript_has_every_type_and_no_loose_end() {
    let documents = typescript_documents();
    let paths: BTreeSet<&str> = documents.iter().map(|document| &*document.path).collect();
    assert_eq!(paths.len(), documents.len());
    for document in &documents {
        let text = &document.text;
        assert!(text.starts_with("// GENERATED CODE! DO NOT MODIFY BY HAND!\n\n"), "{text}");
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in
            text.lines().filter_map(|line| line.split_once(" from \"")?.1.split('"').next())
        {
            let target = match (target.strip_prefix("../"), folder) {
                (Some(rest), _) => format!("{rest}.ts"),
                (None, "") => format!("{}.ts", target.trim_start_matches("./")),
                (None, folder) => format!("{folder}/{}.ts", target.trim_start_matches("./")),
            };
            let target = if target == "v2.ts" { "v2/index.ts" } else { &target };
            assert!(paths.contains(target), "{}: {target}", document.path);
        }
    }
    let text = |path: &str| {
        let found = documents.iter().find(|document| document.path == path);
        found.unwrap_or_else(|| panic!("no {path}")).text.as_str()
    };
    assert!(text("index.ts").ends_with("export * as v2 from \"./v2\";\n"));
    let params = text("v2/SkillsConfigWriteParams.ts");
    assert!(
        params.ends_with(
            "export type SkillsConfigWriteParams = { enabled: boolean, path: string, };\n"
        ),
        "{params}"
    );
    let scope = text("v2/SkillScope.ts");
    assert!(scope.contains("\"user\"") && scope.contains("\"admin\""), "{scope}");
}

fn references_of<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    match schema {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references_of(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references_of(item, found)),
        _ => {}
    }
}

/// The reference's schemas by path, if they are here.
fn reference_files() -> Option<BTreeMap<String, String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/schema/0.94.0");
    let mut files = BTreeMap::new();
    for folder in ["", "v1/", "v2/"] {
        for entry in fs::read_dir(root.join(folder)).ok()? {
            let path = entry.ok()?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_name()?.to_str()?;
                files.insert(format!("{folder}{name}"), fs::read_to_string(&path).ok()?);
            }
        }
    }
    Some(files)
}

struct Comparison<'a> {
    theirs: &'a Value,
    ours: &'a Value,
    /// Pairs of definitions that are compared already, or being compared.
    seen: BTreeSet<(String, String)>,
    found: BTreeSet<String>,
}

/// One of the things that a schema allows.
#[derive(Debug)]
enum Alternative<'a> {
    Any,
    Const(String),
    Plain(String),
    List(&'a Value),
    Object {
        members: BTreeMap<String, &'a Value>,
        required: BTreeSet<String>,
        /// Schema of members that are not named, if they are of one kind.
        others: Option<&'a Value>,
    },
}

static ANY: Value = Value::Bool(true);

impl Comparison<'_> {
    fn node(&mut self, theirs: &Value, ours: &Value, place: &str) {
        let name = definition(theirs);
        if let Some(name) = &name {
            let pair = (name.clone(), definition(ours).unwrap_or_else(|| place.to_owned()));
            if !self.seen.insert(pair) {
                return;
            }
        }
        let place = name.as_deref().unwrap_or(place);
        let (theirs, their_null) = alternatives(theirs, self.theirs);
        let (ours, our_null) = alternatives(ours, self.ours);
        if theirs.iter().any(|a| matches!(a, Alternative::Any)) {
            return;
        }
        if ours.iter().any(|a| matches!(a, Alternative::Any)) {
            self.found.insert(format!("{place}: any"));
            return;
        }
        if their_null != our_null {
            self.found.insert(format!("{place}: null"));
        }
        let ours: BTreeMap<String, &Alternative> = ours.iter().map(|a| (label(a), a)).collect();
        let theirs: BTreeMap<String, &Alternative> = theirs.iter().map(|a| (label(a), a)).collect();
        if let ([their], [our]) =
            (Vec::from_iter(&theirs).as_slice(), Vec::from_iter(&ours).as_slice())
        {
            self.alternative(their.1, our.1, place);
            return;
        }
        for (label, their) in &theirs {
            match ours.get(label) {
                Some(our) => self.alternative(their, our, &format!("{place}<{label}>")),
                None => _ = self.found.insert(format!("{place}<{label}>: missing")),
            }
        }
        for label in ours.keys().filter(|label| !theirs.contains_key(*label)) {
            self.found.insert(format!("{place}<{label}>: added"));
        }
    }

    fn alternative(&mut self, theirs: &Alternative, ours: &Alternative, place: &str) {
        match (theirs, ours) {
            (Alternative::Const(their), Alternative::Const(our)) if their == our => {}
            (Alternative::Plain(their), Alternative::Plain(our)) if their == our => {}
            (Alternative::List(their), Alternative::List(our)) => {
                self.node(their, our, &format!("{place}[]"));
            }
            (
                Alternative::Object { members: their, required: must, others: their_others },
                Alternative::Object { members: our, required, others },
            ) => {
                for (name, their) in their {
                    let place = format!("{place}.{name}");
                    let Some(our) = our.get(name) else {
                        self.found.insert(format!("{place}: missing"));
                        continue;
                    };
                    if must.contains(name) != required.contains(name) {
                        self.found.insert(format!("{place}: required"));
                    }
                    self.node_in(their, our, &place);
                }
                for name in our.keys().filter(|name| !their.contains_key(*name)) {
                    self.found.insert(format!("{place}.{name}: added"));
                }
                if let (Some(their), Some(our)) = (their_others, others) {
                    self.node(their, our, &format!("{place}{{}}"));
                } else if their_others.is_some() != others.is_some() {
                    self.found.insert(format!("{place}{{}}: kind"));
                }
            }
            _ => _ = self.found.insert(format!("{place}: kind")),
        }
    }

    /// A member: `null` belongs to the place, everything else to the definition.
    fn node_in(&mut self, theirs: &Value, ours: &Value, place: &str) {
        let (their_alternatives, their_null) = alternatives(theirs, self.theirs);
        let (our_alternatives, our_null) = alternatives(ours, self.ours);
        let any = |all: &[Alternative]| all.iter().any(|a| matches!(a, Alternative::Any));
        if their_null != our_null && !any(&their_alternatives) && !any(&our_alternatives) {
            self.found.insert(format!("{place}: null"));
            return;
        }
        self.node(theirs, ours, place);
    }
}

/// The name of the definition that a schema refers to, also with `null` beside it.
fn definition(schema: &Value) -> Option<String> {
    let one = |list: &Value| match list.as_array()?.as_slice() {
        [only] => definition(only),
        [some, null] if null["type"] == "null" => definition(some),
        _ => None,
    };
    match schema.get("$ref") {
        Some(reference) => reference.as_str()?.rsplit('/').next().map(str::to_owned),
        None => one(schema.get("allOf").or_else(|| schema.get("anyOf"))?),
    }
}

/// What a schema allows, and whether `null` is among it.
fn alternatives<'a>(schema: &'a Value, root: &'a Value) -> (Vec<Alternative<'a>>, bool) {
    let mut all = Vec::new();
    let mut null = false;
    collect(schema, root, &mut all, &mut null);
    (all, null)
}

fn collect<'a>(
    schema: &'a Value,
    root: &'a Value,
    all: &mut Vec<Alternative<'a>>,
    null: &mut bool,
) {
    let Some(object) = schema.as_object() else {
        all.push(Alternative::Any);
        return;
    };
    for key in ["anyOf", "oneOf"] {
        if let Some(list) = object.get(key).and_then(Value::as_array) {
            list.iter().for_each(|schema| collect(schema, root, all, null));
            return;
        }
    }
    if object.contains_key("properties") || object.get("additionalProperties").is_some() {
        all.push(whole(object, root));
    } else if let Some(target) = target(object, root) {
        collect(target, root, all, null);
    } else if let Some(list) = object.get("allOf").and_then(Value::as_array) {
        list.iter().for_each(|schema| collect(schema, root, all, null));
    } else if let Some(values) = object.get("enum").and_then(Value::as_array) {
        *null |= values.contains(&Value::Null);
        all.extend(values.iter().filter_map(Value::as_str).map(|v| Alternative::Const(v.into())));
    } else if let Some(value) = object.get("const").and_then(Value::as_str) {
        all.push(Alternative::Const(value.into()));
    } else {
        let types: Vec<&str> = match object.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return all.push(Alternative::Any),
        };
        for kind in types {
            match kind {
                "null" => *null = true,
                "array" => all.push(Alternative::List(object.get("items").unwrap_or(&ANY))),
                "object" => all.push(whole(object, root)),
                plain => all.push(Alternative::Plain(plain.to_owned())),
            }
        }
    }
}

fn target<'a>(object: &'a Map<String, Value>, root: &'a Value) -> Option<&'a Value> {
    root.pointer(object.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// An object together with what it takes over from a definition.
fn whole<'a>(object: &'a Map<String, Value>, root: &'a Value) -> Alternative<'a> {
    let mut members = BTreeMap::new();
    let mut required = BTreeSet::new();
    let mut parts = vec![object];
    while let Some(part) = parts.pop() {
        for (name, schema) in
            part.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            members.insert(name.clone(), schema);
        }
        let names = part.get("required").and_then(Value::as_array).into_iter().flatten();
        required.extend(names.filter_map(Value::as_str).map(str::to_owned));
        parts.extend(target(part, root).and_then(Value::as_object));
        let all = part.get("allOf").and_then(Value::as_array).into_iter().flatten();
        parts.extend(all.filter_map(Value::as_object));
    }
    let others = object.get("additionalProperties").filter(|schema| **schema != Value::Bool(false));
    Alternative::Object { members, required, others }
}

/// What tells an alternative from the others of its union.
fn label(alternative: &Alternative) -> String {
    match alternative {
        Alternative::Any => "any".into(),
        Alternative::Const(value) => value.clone(),
        Alternative::Plain(kind) => kind.clone(),
        Alternative::List(_) => "list".into(),
        Alternative::Object { members, required, .. } => ["type", "state"]
            .iter()
            .find_map(|tag| {
                let schema = members.get(*tag)?;
                schema["const"].as_str().or_else(|| schema["enum"][0].as_str())
            })
            .map_or_else(|| Vec::from_iter(required.iter().cloned()).join("+"), str::to_owned),
    }
}
