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
