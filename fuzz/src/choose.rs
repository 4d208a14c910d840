//! Where choices come from. One generator of steps serves three drivers: a seed, the bytes of a
//! fuzzer, and an odometer that goes through every combination.

/// A source of choices.
pub trait Choose {
    /// A number below `n`, which is at least 1; `None` when the source has run dry.
    fn below(&mut self, n: u32) -> Option<u32>;

    /// Whether one chance in `n` came up.
    fn one_in(&mut self, n: u32) -> Option<bool> {
        Some(self.below(n)? == 0)
    }

    /// One of `options`, of which there is at least one.
    fn pick<T: Copy>(&mut self, options: &[T]) -> Option<T> {
        let n = u32::try_from(options.len()).ok()?;
        let at = self.below(n)?;
        options.get(at as usize).copied()
    }

    /// The place of one of `weights`, as often as its weight says; the sum is at least 1.
    fn weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let mut at = self.below(weights.iter().sum())?;
        for (place, weight) in weights.iter().enumerate() {
            if at < *weight {
                return Some(place);
            }
            at -= weight;
        }
        None
    }
}

/// Choices out of a seed, without end (SplitMix64).
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Seeded {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choose for Seeded {
    fn below(&mut self, n: u32) -> Option<u32> {
        // The high half scaled down: no modulo bias worth the name.
        let scaled = (self.next_u64() >> 32) * u64::from(n);
        u32::try_from(scaled >> 32).ok()
    }
}

/// Choices out of a fuzzer's bytes: one byte each where that is enough, and none at the end.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Choose for Bytes<'_> {
    fn below(&mut self, n: u32) -> Option<u32> {
        if n <= 1 {
            return Some(0);
        }
        let mut value = 0u32;
        let width = if n <= 1 << 8 { 1 } else { 4 };
        for _ in 0..width {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value = value << 8 | u32::from(*first);
        }
        Some(value % n)
    }
}

/// Every combination of choices, one after another, like the wheels of an odometer.
///
/// ```
/// use understudy_fuzz::choose::{Choose, Exhaust};
/// let mut seen = Vec::new();
/// let mut all = Exhaust::default();
/// while all.begin() {
///     seen.push((all.below(2), all.below(3)));
/// }
/// assert_eq!(seen.len(), 6);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exhaust {
    /// For each choice of this round: what was chosen, and out of how many.
    wheels: Vec<(u32, u32)>,
    at: usize,
    has_begun: bool,
}

impl Exhaust {
    /// Begins the next combination; false when there is none left.
    pub fn begin(&mut self) -> bool {
        self.at = 0;
        if !std::mem::replace(&mut self.has_begun, true) {
            return true;
        }
        while let Some((chosen, of)) = self.wheels.pop() {
            if chosen + 1 < of {
                self.wheels.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

impl Choose for Exhaust {
    fn below(&mut self, n: u32) -> Option<u32> {
        if self.at == self.wheels.len() {
            self.wheels.push((0, n));
        }
        let (chosen, of) = self.wheels.get(self.at).copied()?;
        assert_eq!(of, n, "the same choices before must lead to the same choice here");
        self.at += 1;
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Choose, Exhaust, Seeded};

    #[test]
    fn a_seed_repeats_itself_and_keeps_its_bounds() {
        let draw = |seed| {
            let mut from = Seeded(seed);
            (1..200).map(|n| from.below(n)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for (n, got) in (1..).zip(draw(3)) {
            assert!(got.is_some_and(|got| got < n));
        }
    }

    #[test]
    fn bytes_run_dry() {
        let mut from = Bytes(&[5, 1, 2, 3, 4]);
        assert_eq!((from.below(4), from.below(1)), (Some(1), Some(0)));
        assert_eq!((from.below(1000), from.below(2)), (Some(0x0102_0304 % 1000), None));
    }

    #[test]
    fn every_combination_comes_once_also_where_one_choice_opens_another() {
        let mut all = Exhaust::default();
        let mut seen = Vec::new();
        while all.begin() {
            let first = all.below(3);
            seen.push((first, if first == Some(1) { all.below(2) } else { None }));
        }
        let want = [(0, None), (1, Some(0)), (1, Some(1)), (2, None)];
        assert_eq!(seen, want.map(|(a, b)| (Some(a), b)));
    }
}
