//! Text that must not be seen: tokens, keys, authorization headers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use zeroize::Zeroize;

/// A token or key. Its `Debug` is `***`, it has no `Display`, and its memory is wiped when dropped.
///
/// It goes to the wire or to the credential store through [`Secret::expose`] and nowhere else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Each caller is a place where a secret leaves the process: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with stars wherever this secret stands in it: for the words of a peer that repeats
    /// what it was sent.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "***") }
    }

    /// A number that stands for the text and does not tell it.
    #[cfg(feature = "sim")]
    pub fn mark(&self) -> u64 {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(&self.0);
        digest.iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A search through states must tell two secrets apart. No program is built with this.
        #[cfg(feature = "sim")]
        if f.sign_plus() {
            return write!(f, "***{:016x}", self.mark());
        }
        f.write_str("***")
    }
}

/// Reads a string. An owned one is moved, not copied, so that no second copy is left behind.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretText;

        impl Visitor<'_> for SecretText {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_string<E>(self, text: String) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }
        }

        deserializer.deserialize_string(SecretText)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn words_of_a_peer_are_shown_without_the_secret() {
        assert_eq!(Secret::new("sk-1").hidden_in("not sk-1, sk-1!"), "not ***, ***!");
        assert_eq!(Secret::new("").hidden_in("no"), "no");
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?} {:?}", Secret::new("sk-1"), Some(Secret::new("sk-2")));
        assert_eq!(shown, "*** Some(***)");
    }
}
