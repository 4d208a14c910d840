//! Owns: the closed sets of words that requests and prompts are built from, spelled as the wire
//! and the configuration spell them (config.md §3.1).
//! Variants and spellings are those of the config room, so that either can stand for the other.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub(crate) enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word itself.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// How hard a model thinks.
    ReasoningEffort {
        /// Not at all.
        None = "none",
        /// As little as it can.
        Minimal = "minimal",
        /// A little.
        Low = "low",
        /// Evenly.
        Medium = "medium",
        /// A lot.
        High = "high",
        /// As much as it can.
        XHigh = "xhigh",
    }
}

words! {
    /// What a model tells of its reasoning.
    ReasoningSummary {
        /// As the backend sees fit.
        Auto = "auto",
        /// In few words.
        Concise = "concise",
        /// In many words.
        Detailed = "detailed",
        /// Nothing.
        None = "none",
    }
}

words! {
    /// How much a model writes.
    Verbosity {
        /// Little.
        Low = "low",
        /// Enough.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

words! {
    /// When the user is asked before a command runs.
    AskForApproval {
        /// Unless the command is known to be harmless.
        Untrusted = "untrusted",
        /// When it failed in the sandbox.
        OnFailure = "on-failure",
        /// When the model says so.
        OnRequest = "on-request",
        /// Never.
        Never = "never",
    }
}

words! {
    /// What a command may do.
    SandboxMode {
        /// Read.
        ReadOnly = "read-only",
        /// Write below some roots.
        WorkspaceWrite = "workspace-write",
        /// Everything.
        DangerFullAccess = "danger-full-access",
    }
}
