//! Chance that is given from outside, as a number.

/// The same draws for the same seed: Vigna's splitmix64, more than good enough to spread delays and limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SplitMix64(pub(crate) u64);

/// What the state of the generator grows by with each draw.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    /// One draw of all, from 0 (included) to 1 (not included). It is the same whenever it is asked for, so nobody has to
    /// keep it.
    pub(crate) fn nth(self, number: u64) -> f64 {
        let mut bits = self.0.wrapping_add(number.wrapping_mul(STEP));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // So many bits are exact in an f64.
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next draw.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(STEP);
        self.nth(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_splitmix64_in_a_row_or_out_of_it() {
        // The published outputs for this seed.
        let known = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let (luck, mut row) = (SplitMix64(1_234_567), SplitMix64(1_234_567));
        for (output, number) in known.into_iter().zip(1..) {
            let share = (output >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!((luck.nth(number), row.next()), (share, share));
        }
    }

    #[test]
    fn luck_is_spread_over_its_range() {
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
