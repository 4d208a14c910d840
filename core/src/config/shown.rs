//! The configuration as clients are shown it (config.md §4.2, §4.5, §4.6).
//!
//! Owns: how layers, origins and requirements look on the wire. Values are shown as they stand in
//! the files, keys of providers included, because the host may edit what it is shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::error::ConfigError;
use super::kinds::{Residency, SandboxKind, SandboxMode};
use super::layers::{Layer, LayerSource, Layers, origins};
use super::stack::{Mode, Stack};
use super::{ConfigAsk, derive, requirements};
use crate::files::Files;
use crate::wire::legacy::config::{
    GetUserSavedConfigResponse, Profile, SandboxSettings, Tools, UserSavedConfig,
};
use crate::wire::v2::common::{AbsolutePathBuf, NotAbsolute};
use crate::wire::v2::config::{
    Config, ConfigLayer, ConfigLayerMetadata, ConfigLayerSource, ConfigReadResponse,
    ConfigRequirements, ConfigRequirementsReadResponse, ProfileV2, ResidencyRequirement,
    SandboxWorkspaceWrite,
};

/// The answer to `config/read`, or the text of the error. With a folder the settings must also make
/// sense together, as they must for a thread; without one they only have to be of the right types.
pub(crate) fn read(
    files: &dyn Files,
    ask: &ConfigAsk,
    with_layers: bool,
) -> Result<ConfigReadResponse, String> {
    let stack = right_stack(files, ask)
        .map_err(|error| format!("failed to read configuration layers: {error}"))?;
    let by_key = origins(&stack.layers).into_iter();
    let origins: Result<_, NotAbsolute> = by_key
        .map(|(key, origin)| {
            let name = source(&origin.name)?;
            Ok((key, ConfigLayerMetadata { name, version: origin.version }))
        })
        .collect();
    let layers = stack.layers.iter().rev().filter(|_| with_layers).map(layer);
    let layers = layers.collect::<Result<Vec<_>, _>>();
    let unnamed = |error: NotAbsolute| format!("failed to read configuration layers: {error}");
    Ok(ConfigReadResponse {
        config: merged(&stack.layers)?,
        origins: origins.map_err(unnamed)?,
        layers: with_layers.then_some(layers.map_err(unnamed)?),
    })
}

fn right_stack(files: &dyn Files, ask: &ConfigAsk) -> Result<Stack, ConfigError> {
    let stack = Stack::gather(files, ask, &Mode::Strict)?;
    match ask.cwd {
        Some(_) => derive::derive(files, ask, &stack, true).map(|_| ())?,
        None => stack.decode(stack.layers.effective()).map(|_| ())?,
    }
    Ok(stack)
}

/// The answer to `configRequirements/read`, or the text of the error. The other files do not matter.
pub(crate) fn required(
    files: &dyn Files,
    ask: &ConfigAsk,
) -> Result<ConfigRequirementsReadResponse, String> {
    let (found, error) = requirements::read(files, ask);
    if let Some(error) = error {
        return Err(format!("failed to read configuration layers: {error}"));
    }
    if found == requirements::Requirements::default() {
        return Ok(ConfigRequirementsReadResponse { requirements: None });
    }
    let mode = |kind: SandboxKind| match kind {
        SandboxKind::ReadOnly => Some(SandboxMode::ReadOnly),
        SandboxKind::WorkspaceWrite => Some(SandboxMode::WorkspaceWrite),
        SandboxKind::DangerFullAccess => Some(SandboxMode::DangerFullAccess),
        // No mode that a client can choose (config.md §4.5).
        SandboxKind::ExternalSandbox => None,
    };
    let sandboxes = found.sandboxes.map(|rule| rule.value.into_iter().filter_map(mode).collect());
    let requirements = ConfigRequirements {
        allowed_approval_policies: found.approvals.map(|rule| rule.value),
        allowed_sandbox_modes: sandboxes,
        enforce_residency: found.residency.map(|rule| match rule.value {
            Residency::Us => ResidencyRequirement::Us,
        }),
    };
    Ok(ConfigRequirementsReadResponse { requirements: Some(requirements) })
}

/// The answer to `getUserSavedConfig`, or the text of the error: what the files say without any
/// project, and without the command line.
pub(crate) fn saved(
    files: &dyn Files,
    ask: &ConfigAsk,
) -> Result<GetUserSavedConfigResponse, String> {
    let ask = ConfigAsk { cwd: None, ..ask.without_flags() };
    let stack = right_stack(files, &ask)
        .map_err(|error| format!("failed to load configuration: {error}"))?;
    let config = merged(&stack.layers)?;
    let settings = config.sandbox_workspace_write.map(settings).transpose();
    let config = UserSavedConfig {
        approval_policy: config.approval_policy,
        sandbox_mode: config.sandbox_mode,
        sandbox_settings: settings.map_err(|e| format!("failed to parse config.toml: {e}"))?,
        forced_chatgpt_workspace_id: config.forced_chatgpt_workspace_id,
        forced_login_method: config.forced_login_method,
        model: config.model,
        model_reasoning_effort: config.model_reasoning_effort,
        model_reasoning_summary: config.model_reasoning_summary,
        model_verbosity: config.model_verbosity,
        tools: config
            .tools
            .map(|tools| Tools { web_search: tools.web_search, view_image: tools.view_image }),
        profile: config.profile,
        profiles: config.profiles.into_iter().map(|(name, p)| (name, profile(p))).collect(),
    };
    Ok(GetUserSavedConfigResponse { config })
}

fn settings(write: SandboxWorkspaceWrite) -> Result<SandboxSettings, NotAbsolute> {
    let roots = write.writable_roots.into_iter().map(AbsolutePathBuf::try_from);
    Ok(SandboxSettings {
        writable_roots: roots.collect::<Result<_, _>>()?,
        network_access: Some(write.network_access),
        exclude_tmpdir_env_var: Some(write.exclude_tmpdir_env_var),
        exclude_slash_tmp: Some(write.exclude_slash_tmp),
    })
}

fn profile(profile: ProfileV2) -> Profile {
    Profile {
        model: profile.model,
        model_provider: profile.model_provider,
        approval_policy: profile.approval_policy,
        model_reasoning_effort: profile.model_reasoning_effort,
        model_reasoning_summary: profile.model_reasoning_summary,
        model_verbosity: profile.model_verbosity,
        chatgpt_base_url: profile.chatgpt_base_url,
    }
}

/// What the layers that count say together; no profile is laid over it.
fn merged(layers: &Layers) -> Result<Config, String> {
    serde_json::from_value(object(&layers.effective()))
        .map_err(|error| format!("invalid configuration: {error}"))
}

/// The layer's name and version.
pub(super) fn metadata(layer: &Layer) -> Result<ConfigLayerMetadata, NotAbsolute> {
    Ok(ConfigLayerMetadata { name: source(&layer.source)?, version: layer.version() })
}

fn layer(layer: &Layer) -> Result<ConfigLayer, NotAbsolute> {
    Ok(ConfigLayer {
        name: source(&layer.source)?,
        version: layer.version(),
        config: object(&layer.value),
        disabled_reason: layer.disabled.clone(),
    })
}

fn source(source: &LayerSource) -> Result<ConfigLayerSource, NotAbsolute> {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned().try_into();
    Ok(match source {
        LayerSource::System { file } => ConfigLayerSource::System { file: path(file)? },
        LayerSource::User { file } => ConfigLayerSource::User { file: path(file)? },
        LayerSource::Project { dot_codex_folder } => {
            ConfigLayerSource::Project { dot_codex_folder: path(dot_codex_folder)? }
        }
        LayerSource::SessionFlags => ConfigLayerSource::SessionFlags,
        LayerSource::LegacyManagedConfigTomlFromFile { file } => {
            ConfigLayerSource::LegacyManagedConfigTomlFromFile { file: path(file)? }
        }
    })
}

fn object(table: &Table) -> Json {
    let sorted: BTreeMap<&String, &Value> = table.iter().collect();
    let members = sorted.into_iter().map(|(key, value)| (key.clone(), json(value)));
    Json::Object(members.collect::<Map<_, _>>())
}

/// A setting as JSON. A date is its text (the reference shows an object with the name of a private
/// type, config.md §10 31); a number that JSON has no word for is null.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(n) => Json::from(*n),
        Value::Float(n) => Json::from(*n),
        Value::Boolean(b) => Json::Bool(*b),
        Value::Datetime(time) => Json::String(time.to_string()),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Table(table) => object(table),
    }
}
