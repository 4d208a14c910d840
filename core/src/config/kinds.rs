//! The closed sets of words that configuration and protocol share.
//!
//! Each is spelled on the wire and in files as [`as_str`](AskForApproval::as_str) gives it
//! (config.md §3.1); the order of variants is the order in which an error lists them.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for it in files and on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// When a person is asked before a command runs.
    AskForApproval {
        /// Ask for everything but commands known to be harmless.
        Untrusted = "untrusted",
        /// Ask when a command failed inside the sandbox.
        OnFailure = "on-failure",
        /// The model decides when to ask.
        OnRequest = "on-request",
        /// Never ask.
        Never = "never",
    }
}

impl AskForApproval {
    /// From the strictest to the loosest.
    pub const STRICT_FIRST: [Self; 4] = [
        Self::Untrusted,
        Self::OnRequest,
        Self::OnFailure,
        Self::Never,
    ];

    /// The name that constraint messages use (config.md §2.7).
    pub const fn constraint_name(self) -> &'static str {
        match self {
            Self::Untrusted => "UnlessTrusted",
            Self::OnFailure => "OnFailure",
            Self::OnRequest => "OnRequest",
            Self::Never => "Never",
        }
    }

    /// The stricter of two.
    pub fn stricter(self, other: Self) -> Self {
        Self::STRICT_FIRST
            .into_iter()
            .find(|p| *p == self || *p == other)
            .unwrap_or(self)
    }
}

words! {
    /// What a command may touch; from the strictest to the loosest.
    SandboxMode {
        /// Read anything, write nothing, no network.
        ReadOnly = "read-only",
        /// Write below the working folder and named roots.
        WorkspaceWrite = "workspace-write",
        /// No sandbox at all.
        DangerFullAccess = "danger-full-access",
    }
}

words! {
    /// The kinds of sandbox policy that requirements name; one more than configuration can ask for.
    SandboxKind {
        /// See [`SandboxMode::ReadOnly`].
        ReadOnly = "read-only",
        /// See [`SandboxMode::WorkspaceWrite`].
        WorkspaceWrite = "workspace-write",
        /// See [`SandboxMode::DangerFullAccess`].
        DangerFullAccess = "danger-full-access",
        /// The host says that it keeps the server in a sandbox of its own.
        ExternalSandbox = "external-sandbox",
    }
}

impl SandboxKind {
    /// The name that constraint messages use (config.md §2.7).
    pub const fn constraint_name(self) -> &'static str {
        match self {
            Self::ReadOnly => "ReadOnly",
            Self::WorkspaceWrite => "WorkspaceWrite",
            Self::DangerFullAccess => "DangerFullAccess",
            Self::ExternalSandbox => "ExternalSandbox",
        }
    }
}

impl From<SandboxMode> for SandboxKind {
    fn from(mode: SandboxMode) -> Self {
        match mode {
            SandboxMode::ReadOnly => Self::ReadOnly,
            SandboxMode::WorkspaceWrite => Self::WorkspaceWrite,
            SandboxMode::DangerFullAccess => Self::DangerFullAccess,
        }
    }
}

words! {
    /// How hard the model thinks.
    ReasoningEffort {
        /// Not at all.
        None = "none",
        /// As little as it can.
        Minimal = "minimal",
        /// A little.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// A lot.
        High = "high",
        /// As much as it can.
        XHigh = "xhigh",
    }
}

words! {
    /// How the model tells of its reasoning.
    ReasoningSummary {
        /// As the model likes.
        Auto = "auto",
        /// In short.
        Concise = "concise",
        /// At length.
        Detailed = "detailed",
        /// Not at all.
        None = "none",
    }
}

words! {
    /// How wordy the model's answers are.
    Verbosity {
        /// Terse.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// Wordy.
        High = "high",
    }
}

words! {
    /// The model's tone.
    Personality {
        /// Warm.
        Friendly = "friendly",
        /// To the point.
        Pragmatic = "pragmatic",
    }
}

words! {
    /// The only way to log in that is allowed, if one is forced.
    LoginMethod {
        /// A ChatGPT account.
        Chatgpt = "chatgpt",
        /// An API key.
        Api = "api",
    }
}

words! {
    /// Where credentials are kept.
    CredentialStore {
        /// `auth.json` in the state folder.
        File = "file",
        /// The operating system's keyring.
        Keyring = "keyring",
        /// The keyring if it works, else the file.
        Auto = "auto",
        /// In memory only.
        Ephemeral = "ephemeral",
    }
}

words! {
    /// Where credentials of MCP servers are kept.
    McpCredentialStore {
        /// The keyring if it works, else the file.
        Auto = "auto",
        /// `.credentials.json` in the state folder.
        File = "file",
        /// The operating system's keyring.
        Keyring = "keyring",
    }
}

words! {
    /// What the web search tool may reach.
    WebSearchMode {
        /// There is no such tool.
        Disabled = "disabled",
        /// The backend's copy of pages.
        Cached = "cached",
        /// The web itself.
        Live = "live",
    }
}

words! {
    /// Whether the user trusts a project.
    TrustLevel {
        /// Its configuration is read.
        Trusted = "trusted",
        /// Its configuration is not read, and commands are asked about.
        Untrusted = "untrusted",
    }
}

words! {
    /// The protocol that a model provider speaks.
    WireApi {
        /// The Responses API.
        Responses = "responses",
        /// The Chat Completions API: known, not spoken.
        Chat = "chat",
    }
}

words! {
    /// Which variables a child process starts from.
    Inherit {
        /// All.
        All = "all",
        /// A few that programs need.
        Core = "core",
        /// None.
        None = "none",
    }
}

words! {
    /// Whether inputs are kept for the prompt history of terminals.
    Persistence {
        /// All of them.
        SaveAll = "save-all",
        /// None.
        None = "none",
    }
}

words! {
    /// Where the administrator wants data to be processed.
    Residency {
        /// The United States.
        Us = "us",
    }
}

#[cfg(test)]
mod tests {
    use super::{AskForApproval, ReasoningEffort, SandboxMode};

    #[test]
    fn serde_spells_as_as_str() {
        for value in ReasoningEffort::ALL {
            let json = serde_json::to_string(value).expect("a word");
            assert_eq!(json, format!("\"{}\"", value.as_str()));
            let back: ReasoningEffort = serde_json::from_str(&json).expect("the same word");
            assert_eq!(back, *value);
        }
        assert_eq!(
            SandboxMode::ALL.last().map(|m| m.as_str()),
            Some("danger-full-access")
        );
    }

    #[test]
    fn the_stricter_policy_wins_in_either_order() {
        assert_eq!(
            AskForApproval::Never.stricter(AskForApproval::OnRequest),
            AskForApproval::OnRequest
        );
        assert_eq!(
            AskForApproval::OnRequest.stricter(AskForApproval::OnFailure),
            AskForApproval::OnRequest
        );
        assert_eq!(
            AskForApproval::OnRequest.stricter(AskForApproval::Untrusted),
            AskForApproval::Untrusted
        );
    }
}
