//! Pseudo-random numbers from a seed that the driver passes in.

/// Vigna's splitmix64: the same seed gives the same numbers. It is not cryptographic; it spreads delays and limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SplitMix64(pub(crate) u64);

/// The increment of the state per number: 2^64 divided by the golden ratio, rounded to an odd number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// Number `number` of the sequence, from 0 (included) to 1 (excluded).
    ///
    /// It does not change the state, so a caller can compute the same number again instead of storing it.
    pub(crate) fn nth(self, number: u64) -> f64 {
        let mut bits = self.0.wrapping_add(number.wrapping_mul(STEP));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // An f64 represents 53 bits exactly.
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next number of the sequence.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(STEP);
        self.nth(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nth_and_next_give_the_published_outputs() {
        // The published outputs for this seed.
        let known = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let (fixed, mut sequence) = (SplitMix64(1_234_567), SplitMix64(1_234_567));
        for (output, number) in known.into_iter().zip(1..) {
            let share = (output >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!((fixed.nth(number), sequence.next()), (share, share));
        }
    }

    #[test]
    fn numbers_spread_evenly_from_0_to_1() {
        let mut rng = SplitMix64(7);
        let numbers: Vec<f64> = (0..1_000).map(|_| rng.next()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        for tenth in 0..10 {
            let low = f64::from(tenth) / 10.0;
            let found = numbers.iter().filter(|number| (low..low + 0.1).contains(number)).count();
            assert!((60..140).contains(&found), "{found} of 1,000 from {low}");
        }
    }
}
