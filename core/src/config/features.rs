//! The table of features: what can be switched, how ripe it is and what holds by default
//! (config.md §3.5, 0.94 column).

use std::fmt;

/// How ripe a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not finished; switching it on is warned about.
    UnderDevelopment,
    /// For trying out; told to the backend in a header.
    Experimental,
    /// Finished.
    Stable,
    /// Replaced by a setting of its own.
    Deprecated,
}

/// One row of [`FEATURES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureRow {
    /// What it is.
    pub feature: Feature,
    /// The key below `[features]`.
    pub key: &'static str,
    /// How ripe it is.
    pub stage: Stage,
    /// Whether it is on when nothing is said.
    pub default: bool,
}

macro_rules! features {
    ($($(#[$doc:meta])* $feature:ident $key:literal $stage:ident $default:literal,)+) => {
        /// Something that `[features]` switches on or off.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $($(#[$doc])* $feature,)+ }

        /// Every feature, in the reference's order.
        pub const FEATURES: &[FeatureRow] = &[$(FeatureRow {
            feature: Feature::$feature, key: $key, stage: Stage::$stage, default: $default,
        },)+];
    };
}

features! {
    /// A ghost commit for each turn, so that it can be undone.
    Undo "undo" Stable false,
    /// The shell tool.
    ShellTool "shell_tool" Stable true,
    /// Old switch for live web search.
    WebSearchRequest "web_search_request" Deprecated false,
    /// Old switch for cached web search; beats the other.
    WebSearchCached "web_search_cached" Deprecated false,
    /// One tool for commands that go on running.
    UnifiedExec "unified_exec" Experimental false,
    /// The user's shell set-up is taken over into commands.
    ShellSnapshot "shell_snapshot" Experimental false,
    /// Thread metadata in a database.
    Sqlite "sqlite" UnderDevelopment false,
    /// A paragraph about nested AGENTS.md files.
    ChildAgentsMd "child_agents_md" UnderDevelopment false,
    /// The patch tool takes free text.
    ApplyPatchFreeform "apply_patch_freeform" UnderDevelopment false,
    /// Rules about commands; off means that there are none.
    ExecPolicy "exec_policy" UnderDevelopment true,
    /// The model may propose rules.
    RequestRule "request_rule" Stable true,
    /// A sandbox on Windows.
    WindowsSandbox "experimental_windows_sandbox" UnderDevelopment false,
    /// The same with more rights.
    WindowsSandboxElevated "elevated_windows_sandbox" UnderDevelopment false,
    /// The backend compacts history.
    RemoteCompaction "remote_compaction" UnderDevelopment true,
    /// The model list comes from the backend.
    RemoteModels "remote_models" UnderDevelopment true,
    /// PowerShell speaks UTF-8.
    PowershellUtf8 "powershell_utf8" UnderDevelopment false,
    /// Requests to the backend are compressed.
    RequestCompression "enable_request_compression" Stable true,
    /// Agents that work together.
    Collab "collab" UnderDevelopment false,
    /// Apps as tools.
    Apps "apps" Experimental false,
    /// Installs MCP servers that a skill needs.
    SkillMcpDependencyInstall "skill_mcp_dependency_install" Stable true,
    /// Asks for variables that a skill needs.
    SkillEnvVarDependencyPrompt "skill_env_var_dependency_prompt" UnderDevelopment false,
    /// Input while a turn runs goes into that turn.
    Steer "steer" Experimental false,
    /// Presets of how to work together.
    CollaborationModes "collaboration_modes" Stable true,
    /// The model's tone can be chosen.
    Personality "personality" Stable true,
    /// Model streams over a web socket.
    ResponsesWebsockets "responses_websockets" UnderDevelopment false,
    /// Measures of the process itself.
    RuntimeMetrics "runtime_metrics" UnderDevelopment false,
}

/// Old names with what they stand for, in alphabetical order.
const ALIASES: &[(&str, Feature)] = &[
    ("connectors", Feature::Apps),
    (
        "enable_experimental_windows_sandbox",
        Feature::WindowsSandbox,
    ),
    (
        "experimental_use_freeform_apply_patch",
        Feature::ApplyPatchFreeform,
    ),
    ("experimental_use_unified_exec_tool", Feature::UnifiedExec),
    ("include_apply_patch_tool", Feature::ApplyPatchFreeform),
    ("web_search", Feature::WebSearchRequest),
];

impl Feature {
    /// Its row in the table.
    pub fn row(self) -> &'static FeatureRow {
        // The table is made from the same list as the enum, so the row is always there.
        FEATURES
            .iter()
            .find(|row| row.feature == self)
            .unwrap_or(&FEATURES[0])
    }

    fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// The feature of that name, and whether the name is an old one.
pub fn by_name(name: &str) -> Option<(Feature, bool)> {
    let current = FEATURES
        .iter()
        .find(|row| row.key == name)
        .map(|row| (row.feature, false));
    current.or_else(|| {
        ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map(|(_, f)| (*f, true))
    })
}

/// Which features are on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// Whether the feature is on.
    pub fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Switches a feature.
    pub fn set(&mut self, feature: Feature, on: bool) {
        if on {
            self.0 |= feature.bit();
        } else {
            self.0 &= !feature.bit();
        }
    }

    /// The features that are on, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = &'static FeatureRow> {
        FEATURES.iter().filter(move |row| self.has(row.feature))
    }
}

impl Default for Features {
    fn default() -> Self {
        let mut features = Self(0);
        for row in FEATURES.iter().filter(|row| row.default) {
            features.set(row.feature, true);
        }
        features
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|row| row.key))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{FEATURES, Feature, Features, by_name};

    #[test]
    fn every_row_is_found_by_key_and_by_feature() {
        assert!(FEATURES.len() <= 32, "the set is one word");
        for row in FEATURES {
            assert_eq!(by_name(row.key), Some((row.feature, false)));
            assert_eq!(row.feature.row(), row);
        }
        assert_eq!(by_name("connectors"), Some((Feature::Apps, true)));
        assert_eq!(by_name("nothing"), None);
    }

    #[test]
    fn switching_changes_one_feature() {
        let mut features = Features::default();
        assert!(features.has(Feature::ExecPolicy) && !features.has(Feature::Undo));
        features.set(Feature::Undo, true);
        features.set(Feature::ExecPolicy, false);
        assert!(!features.has(Feature::ExecPolicy) && features.has(Feature::Undo));
        assert!(features.has(Feature::ShellTool));
    }
}
