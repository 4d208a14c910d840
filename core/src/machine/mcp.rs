//! Requests about MCP servers, as far as the configuration answers them: no server is started for
//! one.

use super::Machine;
use super::config::Question;
use super::page::page;
use super::startup::config_ask;
use crate::config::mcp::McpTransport;
use crate::config::{Config, ConfigError};
use crate::pending::Ticket;
use crate::wire::refusal::Refusal;
use crate::wire::v2::mcp::{
    ListMcpServerStatusParams, ListMcpServerStatusResponse, McpAuthStatus,
    McpServerOauthLoginParams, McpServerStatus,
};

impl Machine {
    /// `mcpServerStatus/list`
    pub(super) fn list_mcp_servers(&mut self, ticket: Ticket, params: ListMcpServerStatusParams) {
        self.ask_config(ticket, config_ask(&self.setup), Question::McpServers(params));
    }

    /// `mcpServer/oauth/login`
    pub(super) fn mcp_login(&mut self, ticket: Ticket, params: McpServerOauthLoginParams) {
        self.ask_config(ticket, config_ask(&self.setup), Question::McpLogin(params.name));
    }

    /// `config/mcpServer/reload`: that the configuration can be read. Threads read their own.
    pub(super) fn reload_mcp_servers(&mut self, ticket: Ticket) {
        self.ask_config(ticket, config_ask(&self.setup), Question::McpReload);
    }
}

/// The configuration cannot be read for a request.
pub(super) fn unloadable(error: &ConfigError) -> Refusal {
    Refusal::internal(format!("failed to reload config: {error}"))
}

/// The servers as configured, by name. What they offer is not known here, and is left empty as it is
/// for a server that does not start (config.md §7.6).
pub(super) fn listed(
    config: &Config,
    params: &ListMcpServerStatusParams,
) -> Result<ListMcpServerStatusResponse, Refusal> {
    let servers = config.mcp.servers.iter().map(|(name, server)| McpServerStatus {
        name: name.clone(),
        tools: Default::default(),
        resources: Vec::new(),
        resource_templates: Vec::new(),
        auth_status: match &server.transport {
            McpTransport::Http { bearer_token_env_var: Some(_), .. } => McpAuthStatus::BearerToken,
            McpTransport::Http { .. } | McpTransport::Stdio { .. } => McpAuthStatus::Unsupported,
        },
    });
    let servers = servers.collect();
    let (data, next_cursor) = page(servers, params.cursor.as_deref(), params.limit, "MCP servers")?;
    Ok(ListMcpServerStatusResponse { data, next_cursor })
}

/// Why nobody can log in at a server.
pub(super) fn login_refusal(config: &Config, name: &str) -> Refusal {
    match config.mcp.servers.get(name).map(|server| &server.transport) {
        None => Refusal::invalid(format!("No MCP server named '{name}' found.")),
        Some(McpTransport::Stdio { .. }) => {
            Refusal::invalid("OAuth login is only supported for streamable HTTP servers.")
        }
        Some(McpTransport::Http { .. }) => Refusal::internal(format!(
            "failed to login to MCP server '{name}': this server does not offer logins yet"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::files::MemoryFiles;
    use crate::machine::bench::Bench;

    #[test]
    fn servers_are_listed_as_configured() {
        let config = "[mcp_servers.b]\ncommand = 'b'\nenabled = false\n\
                      [mcp_servers.a]\nurl = 'http://a'\nbearer_token_env_var = 'A'\n";
        let mut bench = Bench::with(MemoryFiles::new().with("/h/config.toml", config));
        bench.ask(1, "mcpServerStatus/list", json!({"limit": 1}));
        let empty = json!({"name": "a", "tools": {}, "resources": [], "resourceTemplates": [],
            "authStatus": "bearerToken"});
        let page = json!({"data": [empty], "nextCursor": "1"});
        assert_eq!(bench.answered()[0]["result"], page);
        bench.ask(2, "mcpServerStatus/list", json!({"cursor": "1"}));
        let page = &bench.answered()[0]["result"];
        assert_eq!((&page["data"][0]["name"], &page["nextCursor"]), (&json!("b"), &json!(null)));
        bench.ask(3, "mcpServerStatus/list", json!({"cursor": "9"}));
        let error = &bench.answered()[0]["error"]["message"];
        assert_eq!(error, "cursor 9 exceeds total MCP servers 2");
        let refused = |bench: &mut Bench, name: &str| {
            bench.ask(4, "mcpServer/oauth/login", json!({"name": name}));
            bench.answered()[0]["error"]["message"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!(refused(&mut bench, "c"), "No MCP server named 'c' found.");
        let text = "OAuth login is only supported for streamable HTTP servers.";
        assert_eq!(refused(&mut bench, "b"), text);
        assert!(refused(&mut bench, "a").starts_with("failed to login to MCP server 'a': "));
    }

    #[test]
    fn a_reload_says_whether_the_configuration_can_be_read() {
        let mut bench = Bench::new();
        bench.line(&json!({"id": 1, "method": "config/mcpServer/reload"}));
        assert_eq!(bench.answered()[0]["result"], json!({}));
        bench.files.put("/h/config.toml", "model = ");
        bench.line(&json!({"id": 2, "method": "config/mcpServer/reload"}));
        let error = bench.answered()[0]["error"].clone();
        assert_eq!(error["code"], -32603);
        let text = error["message"].as_str().unwrap_or_default();
        assert!(text.starts_with("failed to reload config: /h/config.toml:1:"), "{text}");
    }
}
