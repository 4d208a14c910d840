//! Owns: the operating system's keyring behind the port [`Keyring`]: the Secret Service on Linux,
//! the Keychain on macOS.
//!
//! Invariants: every call returns within [`CALL_LIMIT`], also when the service hangs or waits for a
//! person. No text that leaves here holds a secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyring::Entry;
use keyring::v1::Error;
use understudy_core::Secret;
use understudy_core::files::{Keyring, KeyringError};

/// How long a keyring may take. A person who is asked to unlock it may need longer; then the next
/// call finds it unlocked.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// Calls that did not return in time, and still sit on their threads; beyond this no further one
/// is tried until one of them returns.
const STUCK_MAX: usize = 4;

/// The keyring of this machine's user.
///
/// There is a connection to it from the first call on, and none before: a user whose credentials
/// are in a file never meets it.
#[derive(Clone, Debug, Default)]
pub struct OsKeyring {
    stuck: Arc<AtomicUsize>,
}

impl Keyring for OsKeyring {
    fn get(&self, service: &str, account: &str) -> Result<Option<Secret>, KeyringError> {
        self.call(service, account, |entry| match entry.get_password() {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn set(&self, service: &str, account: &str, secret: &Secret) -> Result<(), KeyringError> {
        let secret = secret.clone();
        self.call(service, account, move |entry| entry.set_password(secret.expose()))
    }

    fn delete(&self, service: &str, account: &str) -> Result<bool, KeyringError> {
        self.call(service, account, |entry| match entry.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        })
    }
}

impl OsKeyring {
    fn call<T: Send + 'static>(
        &self,
        service: &str,
        account: &str,
        work: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let (service, account) = (service.to_owned(), account.to_owned());
        self.in_time(CALL_LIMIT, move || {
            // The library gives every later call no more than "no default store".
            if let Err(error) = Entry::store_status() {
                let text = format!("there is no keyring to be had: {}", words(error));
                return Err(KeyringError { text, is_absent: true });
            }
            let entry = Entry::new(&service, &account);
            entry.and_then(|entry| work(&entry)).map_err(|error| failed(words(&error)))
        })
    }

    /// Does `work` on a thread of its own, which is left behind if it takes too long.
    fn in_time<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> Result<T, KeyringError> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let late = || failed(format!("the keyring did not answer within {limit:?}"));
        if self.stuck.load(Ordering::Relaxed) >= STUCK_MAX {
            return Err(late());
        }
        let (done, answer) = mpsc::channel();
        let stuck = Arc::clone(&self.stuck);
        stuck.fetch_add(1, Ordering::Relaxed);
        let run = move || {
            let result = work();
            stuck.fetch_sub(1, Ordering::Relaxed);
            // Nobody waits any more when it took too long.
            let _late = done.send(result);
        };
        if let Err(error) = thread::Builder::new().name("keyring".into()).spawn(run) {
            self.stuck.fetch_sub(1, Ordering::Relaxed);
            return Err(failed(error.to_string()));
        }
        match answer.recv_timeout(limit) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                self.stuck.fetch_sub(1, Ordering::Relaxed);
                Err(failed("the keyring's library failed".to_owned()))
            }
        }
    }
}

fn failed(text: String) -> KeyringError {
    KeyringError { text, is_absent: false }
}

/// The library's words; those of its errors that quote what was stored are replaced.
fn words(error: &Error) -> String {
    match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) => "the entry is not text".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_keyring_that_hangs_is_given_up_and_then_left_alone() {
        let keyring = OsKeyring::default();
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        let hang = |keyring: &OsKeyring| {
            let released = Arc::clone(&released);
            keyring.in_time(Duration::from_millis(20), move || {
                let _end = released.lock().map(|released| released.recv());
                Ok(())
            })
        };
        for _ in 0..STUCK_MAX {
            let error = hang(&keyring).expect_err("it hangs");
            assert_eq!(error.text, "the keyring did not answer within 20ms");
            assert!(!error.is_absent);
        }
        let started = Instant::now();
        assert!(hang(&keyring).is_err());
        assert!(started.elapsed() < Duration::from_millis(20), "no thread was tried");
        drop(release);
        while keyring.stuck.load(Ordering::Relaxed) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(keyring.in_time(CALL_LIMIT, || Ok(1)), Ok(1));
    }

    #[test]
    fn a_library_that_panics_is_an_error() {
        let keyring = OsKeyring::default();
        let failed = keyring.in_time::<()>(CALL_LIMIT, || std::panic::resume_unwind(Box::new(1)));
        assert_eq!(failed.expect_err("it panics").text, "the keyring's library failed");
        assert_eq!(keyring.stuck.load(Ordering::Relaxed), 0);
    }
}
