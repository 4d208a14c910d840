//! Owns: the tools that ask MCP servers for resources (engine.md §3.6), as they answer where there
//! is no server.

use serde::Deserialize;
use serde_json::{Value, json};

/// Who is said to be asked when the model names nobody.
const OURSELVES: &str = "codex";

/// A call of one of them.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct ResourceCall {
    /// The tool.
    pub(crate) tool: &'static str,
    /// Who is asked.
    pub(crate) server: String,
    /// What the model gives it; `null` if nothing.
    pub(crate) arguments: Value,
    /// The answer, or why there is none.
    pub(crate) answer: Result<String, String>,
}

#[derive(Deserialize)]
struct ListArguments {
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct ReadArguments {
    server: String,
    #[serde(rename = "uri")]
    _uri: String,
}

impl ResourceCall {
    /// The call of a tool of this name; none if there is no such tool.
    pub(crate) fn parse(name: &str, arguments: &str) -> Option<serde_json::Result<Self>> {
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        Some(match name {
            "list_mcp_resources" => {
                Self::list(("list_mcp_resources", "resources/list", "resources"), arguments)
            }
            "list_mcp_resource_templates" => {
                let tool = "list_mcp_resource_templates";
                Self::list((tool, "resources/templates/list", "resourceTemplates"), arguments)
            }
            "read_mcp_resource" => Self::read(arguments),
            _ => return None,
        })
    }

    fn list(
        (tool, method, member): (&'static str, &str, &str),
        arguments: &str,
    ) -> serde_json::Result<Self> {
        let ListArguments { server, cursor } = serde_json::from_str(arguments)?;
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let answer = match (filled(server.clone()), filled(cursor)) {
            (Some(server), _) => Err(format!("{method} failed: {}", unknown(&server))),
            (None, Some(_)) => Err("cursor can only be used when a server is specified".to_owned()),
            (None, None) => Ok(json!({ member: [] }).to_string()),
        };
        let server = filled(server).unwrap_or_else(|| OURSELVES.to_owned());
        Ok(Self { tool, server, arguments: shown(arguments), answer })
    }

    fn read(arguments: &str) -> serde_json::Result<Self> {
        let ReadArguments { server, .. } = serde_json::from_str(arguments)?;
        let answer = Err(format!("resources/read failed: {}", unknown(&server)));
        Ok(Self { tool: "read_mcp_resource", server, arguments: shown(arguments), answer })
    }
}

fn unknown(server: &str) -> String {
    format!("unknown MCP server '{}'", server.trim())
}

/// The arguments as clients are shown them; none are `null`.
fn shown(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(members)) if members.is_empty() => Value::Null,
        Ok(value) => value,
        Err(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::ResourceCall;

    fn answer(name: &str, arguments: &str) -> (String, Result<String, String>) {
        let call = ResourceCall::parse(name, arguments).expect("a tool").expect("arguments");
        assert_eq!(call.tool, name);
        (call.server, call.answer)
    }

    #[test]
    fn without_servers_there_is_nothing_to_list_and_nobody_to_ask() {
        let none = |text: &str| ("codex".to_owned(), Ok(text.to_owned()));
        assert_eq!(answer("list_mcp_resources", ""), none(r#"{"resources":[]}"#));
        let templates = none(r#"{"resourceTemplates":[]}"#);
        assert_eq!(answer("list_mcp_resource_templates", r#"{"server":" "}"#), templates);
        let why = |name: &str, arguments: &str| answer(name, arguments).1.expect_err("a fault");
        let text = "cursor can only be used when a server is specified";
        assert_eq!(why("list_mcp_resources", r#"{"cursor":"c"}"#), text);
        let text = "resources/list failed: unknown MCP server 'x'";
        assert_eq!(why("list_mcp_resources", r#"{"server":"x","cursor":"c"}"#), text);
        let text = "resources/templates/list failed: unknown MCP server 'x'";
        assert_eq!(why("list_mcp_resource_templates", r#"{"server":"x"}"#), text);
        let (server, answer) = answer("read_mcp_resource", r#"{"server":"nope","uri":"u:1"}"#);
        assert_eq!(server, "nope");
        let text = "resources/read failed: unknown MCP server 'nope'";
        assert_eq!(answer, Err(text.to_owned()));
        assert!(ResourceCall::parse("other", "{}").is_none());
        assert!(ResourceCall::parse("read_mcp_resource", "{}").is_some_and(|call| call.is_err()));
    }
}
