//! The keyring of a world: in memory, or not there at all; and it may fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use understudy_core::Secret;
use understudy_core::files::{Keyring, KeyringError};

/// A keyring in memory.
#[derive(Debug, Default)]
pub struct MemoryKeyring(Mutex<State>);

#[derive(Clone, Debug, Default)]
struct State {
    is_absent: bool,
    is_failing: bool,
    /// By service and account.
    entries: BTreeMap<(String, String), String>,
}

/// A keyring of its own with the same in it.
impl Clone for MemoryKeyring {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.state().clone()))
    }
}

impl MemoryKeyring {
    /// A keyring of a machine that has none.
    pub fn absent() -> Self {
        Self(Mutex::new(State { is_absent: true, ..State::default() }))
    }

    /// Lets everything fail from now on, or nothing.
    pub fn set_failing(&self, is_failing: bool) {
        self.state().is_failing = is_failing;
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        !self.state().is_absent
    }

    /// Every secret in it.
    pub fn secrets(&self) -> Vec<String> {
        self.state().entries.values().cloned().collect()
    }

    /// Puts a secret where somebody else has put it, or takes it away.
    pub fn put(&self, service: &str, account: &str, secret: Option<String>) {
        let key = (service.to_owned(), account.to_owned());
        match secret {
            Some(secret) => self.state().entries.insert(key, secret),
            None => self.state().entries.remove(&key),
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, KeyringError> {
        let state = self.state();
        if state.is_absent || state.is_failing {
            let text = "scripted fault of the keyring".to_owned();
            return Err(KeyringError { text, is_absent: state.is_absent });
        }
        Ok(state)
    }
}

impl Keyring for MemoryKeyring {
    fn get(&self, service: &str, account: &str) -> Result<Option<Secret>, KeyringError> {
        let state = self.open()?;
        let found = state.entries.get(&(service.to_owned(), account.to_owned()));
        Ok(found.map(|text| Secret::new(text.as_str())))
    }

    fn set(&self, service: &str, account: &str, secret: &Secret) -> Result<(), KeyringError> {
        let key = (service.to_owned(), account.to_owned());
        self.open()?.entries.insert(key, secret.expose().to_owned());
        Ok(())
    }

    fn delete(&self, service: &str, account: &str) -> Result<bool, KeyringError> {
        let key = (service.to_owned(), account.to_owned());
        Ok(self.open()?.entries.remove(&key).is_some())
    }
}
