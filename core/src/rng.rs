//! The one source of randomness: seeded once, so that a session can be replayed byte for byte.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use uuid::Uuid;

use crate::clock::Now;

/// A generator seeded by the runtime; every id and jitter of a session comes from it.
#[derive(Clone, Debug)]
pub(crate) struct Rng(ChaCha12Rng);

impl Rng {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Another generator from the same seed. What is drawn from it leaves this one as it is.
    pub(crate) fn apart(&self) -> Self {
        let mut other = self.0.clone();
        other.set_stream(1);
        other.set_word_pos(0);
        Self(other)
    }

    /// A time-ordered id, for threads and turns.
    pub(crate) fn uuid_v7(&mut self, now: Now) -> Uuid {
        let mut bytes = [0; 10];
        self.0.fill_bytes(&mut bytes);
        let ms = u64::try_from(now.unix_ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid()
    }

    /// A random id, for items that the model did not name.
    pub(crate) fn uuid_v4(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// Random bytes, for secrets.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `bound`, which is not 0; as evenly spread as names need.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound.max(1)
    }

    /// A factor in [0.9, 1.1) for retry delays.
    pub(crate) fn jitter(&mut self) -> f64 {
        0.9 + 0.2 * (f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0))
    }
}
