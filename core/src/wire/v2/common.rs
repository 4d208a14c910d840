//! What several nouns share: policies, efforts, paths, and JSON that is only handed on.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub use crate::config::kinds::{
    AskForApproval, LoginMethod as ForcedLoginMethod, Personality, ReasoningEffort,
    ReasoningSummary, SandboxMode, Verbosity, WebSearchMode,
};

/// JSON that is handed on as it came; nobody here looks inside.
///
/// Not for members of internally tagged enums: raw text cannot be read there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Wraps JSON text that has been checked already.
    pub fn new(raw: Box<RawValue>) -> Self {
        Self(raw)
    }

    /// The text, with the white space it came with.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The value as raw JSON, for embedding it into other JSON.
    pub fn raw(&self) -> &RawValue {
        &self.0
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// Compares texts: the same value written differently is not equal.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Json {}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// Reads `null` like an absent member; goes with `#[serde(default)]`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A result without members: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Empty {}

/// A path that starts at the root; anything else is refused when read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct AbsolutePathBuf(String);

impl AbsolutePathBuf {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// The path was relative, and there is nothing that it could be relative to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AbsolutePathBuf deserialized without a base path")]
pub struct NotAbsolute;

impl TryFrom<String> for AbsolutePathBuf {
    type Error = NotAbsolute;

    fn try_from(path: String) -> Result<Self, NotAbsolute> {
        if path.starts_with('/') {
            Ok(Self(path))
        } else {
            Err(NotAbsolute)
        }
    }
}

/// Network access inside a sandbox that somebody else provides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NetworkAccess {
    /// No network.
    #[default]
    Restricted,
    /// Full network.
    Enabled,
}

/// What a command may do, with settings. The legacy spelling of the same is
/// [`legacy::policy::SandboxPolicy`](crate::wire::legacy::policy::SandboxPolicy).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum SandboxPolicy {
    /// No sandbox.
    DangerFullAccess,
    /// Read everything, write nothing, no network.
    ReadOnly,
    /// The whole server runs in a sandbox of the host's making.
    ExternalSandbox {
        /// Whether that sandbox has a network.
        #[serde(default)]
        network_access: NetworkAccess,
    },
    /// Write below the working directory and the named places.
    WorkspaceWrite {
        /// Places besides the working directory that may be written.
        #[serde(default)]
        writable_roots: Vec<AbsolutePathBuf>,
        /// Whether commands reach the network.
        #[serde(default)]
        network_access: bool,
        /// Keep `$TMPDIR` read-only.
        #[serde(default)]
        exclude_tmpdir_env_var: bool,
        /// Keep `/tmp` read-only.
        #[serde(default)]
        exclude_slash_tmp: bool,
    },
}

/// The way in which agent and user work together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ModeKind {
    /// Work out a plan first.
    Plan,
    /// Write code.
    #[default]
    Code,
    /// In small steps, together.
    PairProgramming,
    /// Alone to the end.
    Execute,
    /// As the client's own instructions say.
    Custom,
}

/// A mode with the settings that go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollaborationMode {
    /// Which mode.
    pub mode: ModeKind,
    /// Its settings.
    pub settings: Settings,
}

/// The settings of a [`CollaborationMode`]; they outrank those of the thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Settings {
    /// The model's slug.
    pub model: String,
    /// How long it thinks.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Instructions of the mode.
    pub developer_instructions: Option<String>,
}

/// A piece of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ByteRange {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}
