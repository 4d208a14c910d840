//! What the administrator allows (config.md §2.7).
//!
//! Invariant: requirements hold whatever else is wrong with the configuration; those that cannot be
//! read are taken to allow the least.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Table;

use super::ConfigAsk;
use super::error::ConfigError;
use super::kinds::{AskForApproval, Residency, SandboxKind, SandboxMode};
use super::layers::LayerSource;
use super::mcp::{McpServer, McpTransport};
use super::read;
use crate::files::Files;

/// A rule with the place that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    /// What is allowed.
    pub value: T,
    /// Who says so, for messages.
    pub source: String,
}

/// What the administrator allows; a field without a rule allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The approval policies that may be chosen; never empty.
    pub approvals: Option<Rule<Vec<AskForApproval>>>,
    /// The sandboxes that may be chosen; holds read-only always.
    pub sandboxes: Option<Rule<Vec<SandboxKind>>>,
    /// The MCP servers that may be started, by name.
    pub mcp_servers: Option<Rule<BTreeMap<String, McpIdentity>>>,
    /// Where data has to be processed.
    pub residency: Option<Rule<Residency>>,
}

/// What an MCP server has to be, to be the one that is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum McpIdentity {
    /// Runs this program.
    Command(String),
    /// Has this address.
    Url(String),
}

/// A setting that the administrator does not allow. `Display` is the text that clients are shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid value for `{field}`: `{value}` is not in the allowed set [{allowed}] \
     (set by {source_name})"
)]
pub struct NotAllowed {
    /// The setting.
    pub field: &'static str,
    /// The value that was asked for.
    pub value: &'static str,
    /// What is allowed.
    pub allowed: String,
    /// Who says so.
    pub source_name: String,
}

impl Requirements {
    /// Whether the approval policy may be used; asked again for every turn that changes it.
    pub fn check_approval(&self, policy: AskForApproval) -> Result<(), NotAllowed> {
        match &self.approvals {
            Some(rule) if !rule.value.contains(&policy) => Err(NotAllowed {
                field: "approval_policy",
                value: policy.constraint_name(),
                allowed: names(rule.value.iter().map(|p| p.constraint_name())),
                source_name: rule.source.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a sandbox of this kind may be used; asked again for every turn and command.
    pub fn check_sandbox(&self, kind: SandboxKind) -> Result<(), NotAllowed> {
        match &self.sandboxes {
            Some(rule) if !rule.value.contains(&kind) => Err(NotAllowed {
                field: "sandbox_mode",
                value: kind.constraint_name(),
                allowed: names(rule.value.iter().map(|k| k.constraint_name())),
                source_name: rule.source.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The default if it is allowed, else the strictest that is (config.md §10, 19).
    pub fn default_approval(&self, wanted: AskForApproval) -> AskForApproval {
        let allowed = |policy: &AskForApproval| self.check_approval(*policy).is_ok();
        let mut choices = std::iter::once(wanted).chain(AskForApproval::STRICT_FIRST);
        choices.find(allowed).unwrap_or(AskForApproval::Untrusted)
    }

    /// The default if it is allowed, else read-only.
    pub fn default_sandbox(&self, wanted: SandboxMode) -> SandboxMode {
        match self.check_sandbox(wanted.into()) {
            Ok(()) => wanted,
            Err(_) => SandboxMode::ReadOnly,
        }
    }

    /// Switches off every MCP server that is not allowed.
    pub fn restrict_mcp(&self, servers: &mut BTreeMap<String, McpServer>) {
        let Some(rule) = &self.mcp_servers else {
            return;
        };
        for (name, server) in servers {
            if !rule.value.get(name).is_some_and(|identity| identity.fits(server)) {
                server.enabled = false;
                server.disabled_reason = Some(format!("requirements ({})", rule.source));
            }
        }
    }

    /// Fills the fields that have no rule from a source of lower authority.
    fn or(self, lower: Self) -> Self {
        Self {
            approvals: self.approvals.or(lower.approvals),
            sandboxes: self.sandboxes.or(lower.sandboxes),
            mcp_servers: self.mcp_servers.or(lower.mcp_servers),
            residency: self.residency.or(lower.residency),
        }
    }

    /// What holds where the rules of `source` cannot be read: as little as there is.
    fn closed(source: &str) -> Self {
        let sandboxes = Some(rule(vec![SandboxKind::ReadOnly], source));
        Self {
            approvals: Some(rule(vec![AskForApproval::Untrusted], source)),
            sandboxes,
            mcp_servers: Some(rule(BTreeMap::new(), source)),
            residency: None,
        }
    }
}

impl McpIdentity {
    fn fits(&self, server: &McpServer) -> bool {
        match (self, &server.transport) {
            (Self::Command(wanted), McpTransport::Stdio { command, .. }) => wanted == command,
            (Self::Url(wanted), McpTransport::Http { url, .. }) => wanted == url,
            _ => false,
        }
    }
}

fn rule<T>(value: T, source: &str) -> Rule<T> {
    Rule { value, source: source.to_owned() }
}

fn names(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// `requirements.toml` as it stands.
#[derive(Deserialize)]
struct RequirementsDocument {
    allowed_approval_policies: Option<Vec<AskForApproval>>,
    allowed_sandbox_modes: Option<Vec<SandboxKind>>,
    mcp_servers: Option<BTreeMap<String, McpRequirement>>,
    enforce_residency: Option<Residency>,
}

#[derive(Deserialize)]
struct McpRequirement {
    identity: McpIdentity,
}

/// The part of the managed configuration file that works as requirements.
#[derive(Deserialize)]
struct ManagedDocument {
    approval_policy: Option<AskForApproval>,
    sandbox_mode: Option<SandboxMode>,
}

/// Reads all requirements. What cannot be read is taken to allow the least.
pub(super) fn read(files: &dyn Files, ask: &ConfigAsk) -> (Requirements, Option<ConfigError>) {
    let path = ask.system_dir.join("requirements.toml");
    let (first, error) = match from_file(files, &path) {
        Ok(requirements) => (requirements, None),
        Err(error) => (Requirements::closed(&path.display().to_string()), Some(error)),
    };
    let managed = ask.managed_path();
    let (second, managed_error) = match from_managed(files, &managed) {
        Ok(requirements) => (requirements, None),
        Err(error) => {
            let closed = Requirements::closed(&managed.display().to_string());
            // This file has no say about MCP servers.
            (Requirements { mcp_servers: None, ..closed }, Some(error))
        }
    };
    (first.or(second), error.or(managed_error))
}

fn from_file(files: &dyn Files, path: &Path) -> Result<Requirements, ConfigError> {
    let source = path.display().to_string();
    let text = read::text(files, path).map_err(|e| {
        ConfigError::plain(format!("Failed to read requirements file {source}: {e}"))
    })?;
    let Some(text) = text else {
        return Ok(Requirements::default());
    };
    let doc: RequirementsDocument = toml::from_str(&text).map_err(|error| {
        let intro = format!("Error parsing requirements file {source}: ");
        read::with_place(path, &text, &error, &intro)
    })?;
    if doc.allowed_approval_policies.as_ref().is_some_and(Vec::is_empty) {
        return Err(ConfigError::plain("field `allowed_approval_policies` cannot be empty"));
    }
    if let Some(kinds) = &doc.allowed_sandbox_modes
        && !kinds.contains(&SandboxKind::ReadOnly)
    {
        let kinds = names(kinds.iter().map(|kind| kind.constraint_name()));
        return Err(ConfigError::plain(format!(
            "invalid value for `allowed_sandbox_modes`: `[{kinds}]` is not in the allowed set \
             must include 'read-only' to allow any SandboxPolicy (set by {source})"
        )));
    }
    let servers = doc
        .mcp_servers
        .map(|servers| servers.into_iter().map(|(name, server)| (name, server.identity)).collect());
    Ok(Requirements {
        approvals: doc.allowed_approval_policies.map(|value| rule(value, &source)),
        sandboxes: doc.allowed_sandbox_modes.map(|value| rule(value, &source)),
        mcp_servers: servers.map(|value| rule(value, &source)),
        residency: doc.enforce_residency.map(|value| rule(value, &source)),
    })
}

fn from_managed(files: &dyn Files, path: &Path) -> Result<Requirements, ConfigError> {
    let file = path.to_owned();
    let by = |e: ConfigError| e.by(LayerSource::LegacyManagedConfigTomlFromFile { file });
    let Some(table) = read::settings(files, path).map_err(by)? else {
        return Ok(Requirements::default());
    };
    let Ok(doc) = Table::try_into::<ManagedDocument>(table.value.clone()) else {
        let error = table.decode_error::<ManagedDocument>();
        let message = format!("Failed to parse config requirements as TOML: {error}");
        let file = path.to_owned();
        return Err(error
            .with_message(message)
            .by(LayerSource::LegacyManagedConfigTomlFromFile { file }));
    };
    let source = path.display().to_string();
    let sandboxes = doc.sandbox_mode.map(|mode| match SandboxKind::from(mode) {
        SandboxKind::ReadOnly => vec![SandboxKind::ReadOnly],
        kind => vec![SandboxKind::ReadOnly, kind],
    });
    Ok(Requirements {
        approvals: doc.approval_policy.map(|policy| rule(vec![policy], &source)),
        sandboxes: sandboxes.map(|value| rule(value, &source)),
        ..Requirements::default()
    })
}
