//! The operating system's keyring, as jobs see it.

use crate::secret::Secret;

/// Keeps secrets for the user between runs. Every call may block, but not for ever: an
/// implementation gives up after a few seconds with a text for a person.
pub trait Keyring: Send + Sync {
    /// The secret, if there is one.
    fn get(&self, service: &str, account: &str) -> Result<Option<Secret>, KeyringError>;
    /// Keeps a secret, in place of an older one.
    fn set(&self, service: &str, account: &str, secret: &Secret) -> Result<(), KeyringError>;
    /// Forgets a secret. That there is none is no error; says whether there was one.
    fn delete(&self, service: &str, account: &str) -> Result<bool, KeyringError>;
}

/// Why the keyring did not do it, in words for a person and without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct KeyringError {
    /// The words.
    pub text: String,
    /// There is no keyring on this machine at all, so that nothing can be in it.
    pub is_absent: bool,
}

/// A machine without a keyring.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeyring;

impl NoKeyring {
    fn error() -> KeyringError {
        KeyringError { text: "there is no keyring on this machine".to_owned(), is_absent: true }
    }
}

impl Keyring for NoKeyring {
    fn get(&self, _: &str, _: &str) -> Result<Option<Secret>, KeyringError> {
        Err(Self::error())
    }

    fn set(&self, _: &str, _: &str, _: &Secret) -> Result<(), KeyringError> {
        Err(Self::error())
    }

    fn delete(&self, _: &str, _: &str) -> Result<bool, KeyringError> {
        Err(Self::error())
    }
}
