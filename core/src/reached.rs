//! Which rows of which table of rules a session has reached, for simulations that must reach all.
//!
//! A row is noted where its table is asked: see `Outside::reached`. Without the feature `sim` nothing
//! is kept, and the rooms' numbers for their rows are never worked out.

/// A table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Which login is blocked.
    Blocking,
    /// What a call to a model carries.
    Credential,
    /// Which command runs, and with what rights.
    Command,
    /// Which patch is made.
    Patch,
    /// What follows when the sandbox has stopped a command.
    Denial,
    /// What a failed request to a model means.
    ModelError,
    /// What follows a failed request to a model.
    AfterError,
    /// The methods.
    Method,
}

/// A row of a table, by its place from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub Table, pub usize);

#[cfg(feature = "sim")]
impl Table {
    /// Every table.
    pub const ALL: [Self; 8] = [
        Self::Blocking,
        Self::Credential,
        Self::Command,
        Self::Patch,
        Self::Denial,
        Self::ModelError,
        Self::AfterError,
        Self::Method,
    ];

    /// What it is about, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Blocking => "which login is blocked",
            Self::Credential => "what a call to a model carries",
            Self::Command => "which command runs, and with what rights",
            Self::Patch => "which patch is made",
            Self::Denial => "what follows when the sandbox has stopped a command",
            Self::ModelError => "what a failed request to a model means",
            Self::AfterError => "what follows a failed request to a model",
            Self::Method => "methods",
        }
    }

    /// What each of its rows is about, from the top.
    pub fn rows(self) -> Vec<String> {
        match self {
            Self::Blocking => crate::auth::rows::blocking(),
            Self::Credential => crate::auth::rows::calls(),
            Self::Command => crate::approval::rows::commands(),
            Self::Patch => crate::approval::rows::patches(),
            Self::Denial => crate::approval::rows::denials(),
            Self::ModelError => crate::model::rows::errors(),
            Self::AfterError => crate::model::rows::what_follows(),
            Self::Method => {
                crate::wire::methods::METHODS.iter().map(|row| row.name.to_owned()).collect()
            }
        }
    }
}
