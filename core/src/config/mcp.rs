//! MCP servers as configured: how each is reached and what of it may be used (config.md §3.4).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::secret::Secret;

/// One MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "McpDocument")]
pub struct McpServer {
    /// How it is reached.
    pub transport: McpTransport,
    /// Whether it is started.
    pub enabled: bool,
    /// Why it is not, where the user did not say so.
    pub disabled_reason: Option<String>,
    /// Time for starting.
    pub startup_timeout: Duration,
    /// Time for one call of a tool.
    pub tool_timeout: Duration,
    /// The only tools that are offered; none means all.
    pub enabled_tools: Option<Vec<String>>,
    /// Tools that are not offered.
    pub disabled_tools: Vec<String>,
    /// What a login asks for.
    pub scopes: Option<Vec<String>>,
}

/// How an MCP server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum McpTransport {
    /// A child process, spoken to on its standard streams.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables that are set for it.
        env: BTreeMap<String, Secret>,
        /// Variables that are passed on to it.
        env_vars: Vec<String>,
        /// Its folder; relative to the server's own.
        cwd: Option<PathBuf>,
    },
    /// A server on the network.
    Http {
        /// Its address.
        url: String,
        /// The variable that holds its bearer token.
        bearer_token_env_var: Option<String>,
        /// Headers with their values.
        http_headers: BTreeMap<String, Secret>,
        /// Headers with the variables that hold their values.
        env_http_headers: BTreeMap<String, String>,
    },
}

/// `[mcp_servers.<name>]` as it stands in a file.
#[derive(Deserialize)]
struct McpDocument {
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    env_vars: Option<Vec<String>>,
    cwd: Option<PathBuf>,
    url: Option<String>,
    bearer_token: Option<String>,
    bearer_token_env_var: Option<String>,
    http_headers: Option<BTreeMap<String, String>>,
    env_http_headers: Option<BTreeMap<String, String>>,
    enabled: Option<bool>,
    startup_timeout_sec: Option<f64>,
    startup_timeout_ms: Option<u64>,
    tool_timeout_sec: Option<f64>,
    enabled_tools: Option<Vec<String>>,
    disabled_tools: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
}

impl TryFrom<McpDocument> for McpServer {
    type Error = String;

    fn try_from(doc: McpDocument) -> Result<Self, String> {
        let startup = match (doc.startup_timeout_sec, doc.startup_timeout_ms) {
            (Some(sec), _) => seconds(sec)?,
            (None, Some(ms)) => Duration::from_millis(ms),
            (None, None) => Duration::from_secs(10),
        };
        let tool = doc
            .tool_timeout_sec
            .map_or(Ok(Duration::from_secs(60)), seconds)?;
        Ok(Self {
            enabled: doc.enabled.unwrap_or(true),
            disabled_reason: None,
            startup_timeout: startup,
            tool_timeout: tool,
            enabled_tools: doc.enabled_tools.clone(),
            disabled_tools: doc.disabled_tools.clone().unwrap_or_default(),
            scopes: doc.scopes.clone(),
            transport: transport(doc)?,
        })
    }
}

fn transport(doc: McpDocument) -> Result<McpTransport, String> {
    if let Some(command) = doc.command {
        let foreign = [
            ("url", doc.url.is_some()),
            ("bearer_token_env_var", doc.bearer_token_env_var.is_some()),
            ("bearer_token", doc.bearer_token.is_some()),
            ("http_headers", doc.http_headers.is_some()),
            ("env_http_headers", doc.env_http_headers.is_some()),
        ];
        none_of(&foreign, "stdio")?;
        Ok(McpTransport::Stdio {
            command,
            args: doc.args.unwrap_or_default(),
            env: secrets(doc.env),
            env_vars: doc.env_vars.unwrap_or_default(),
            cwd: doc.cwd,
        })
    } else if let Some(url) = doc.url {
        let foreign = [
            ("args", doc.args.is_some()),
            ("env", doc.env.is_some()),
            ("env_vars", doc.env_vars.is_some()),
            ("cwd", doc.cwd.is_some()),
            ("bearer_token", doc.bearer_token.is_some()),
        ];
        none_of(&foreign, "streamable_http")?;
        Ok(McpTransport::Http {
            url,
            bearer_token_env_var: doc.bearer_token_env_var,
            http_headers: secrets(doc.http_headers),
            env_http_headers: doc.env_http_headers.unwrap_or_default(),
        })
    } else {
        Err("invalid transport".to_owned())
    }
}

fn none_of(fields: &[(&str, bool)], transport: &str) -> Result<(), String> {
    match fields.iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(format!("{field} is not supported for {transport}")),
        None => Ok(()),
    }
}

fn secrets(map: Option<BTreeMap<String, String>>) -> BTreeMap<String, Secret> {
    map.unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, Secret::new(value)))
        .collect()
}

fn seconds(sec: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(sec).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{McpServer, McpTransport};

    fn parse(text: &str) -> Result<McpServer, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn the_fields_decide_the_transport() {
        let stdio = parse("command = 'docs'\nstartup_timeout_sec = 2\nstartup_timeout_ms = 9");
        let stdio = stdio.expect("a server");
        assert!(matches!(stdio.transport, McpTransport::Stdio { .. }));
        assert_eq!(stdio.startup_timeout, Duration::from_secs(2));
        assert_eq!(
            (stdio.enabled, stdio.tool_timeout),
            (true, Duration::from_secs(60))
        );
        let http = parse("url = 'http://x'\nenabled = false").expect("a server");
        assert!(matches!(http.transport, McpTransport::Http { .. }) && !http.enabled);
    }

    #[test]
    fn foreign_fields_are_refused() {
        let cases = [
            ("enabled = true", "invalid transport"),
            ("command = 'x'\nurl = 'y'", "url is not supported for stdio"),
            (
                "command = 'x'\nbearer_token = 'y'",
                "bearer_token is not supported for stdio",
            ),
            (
                "url = 'x'\nargs = []",
                "args is not supported for streamable_http",
            ),
            (
                "command = 'x'\ntool_timeout_sec = -1",
                "cannot convert float seconds to Duration: value is negative",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).err().as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let server = parse("command = 'x'\nenv = {TOKEN = 'sk-1'}").expect("a server");
        let shown = format!("{server:?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("sk-1"),
            "{shown}"
        );
    }
}
