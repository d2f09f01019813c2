//! Latency histogram. Buckets are 1/16 of a power of two wide, so the error of a quantile is below 6.25 %.

use std::time::Duration;

/// Number of buckets per power of two.
const STEPS: u64 = 16;
/// Enough buckets for all nanoseconds that fit into 64 bits.
const BUCKETS: usize = 64 * STEPS as usize;

/// Counts of durations.
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS].into_boxed_slice(), count: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(index(nanos)) {
            *bucket += 1;
            self.count += 1;
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration below which this share of all lies. Zero if the histogram is empty.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(upper_end(index));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a duration: exact below 16 ns, then by the highest bit and the four bits after it.
fn index(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = u64::from(nanos.ilog2()) - 4;
    (shift * STEPS + (nanos >> shift)) as usize
}

/// The longest duration of a bucket.
fn upper_end(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let lower = (index % STEPS + STEPS) << shift;
    lower + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_end_is_within_a_sixteenth() {
        for nanos in (0..5_000).chain([u64::from(u32::MAX), 1 << 40, u64::MAX]) {
            let end = upper_end(index(nanos));
            assert!(end >= nanos && end - nanos <= nanos / STEPS, "{nanos} is in the bucket up to {end}");
        }
        assert!(index(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        let mut all = Histogram::default();
        assert_eq!(all.quantile(0.5), Duration::ZERO);
        for micros in 1..=1_000 {
            let mut one = Histogram::default();
            one.record(Duration::from_micros(micros));
            all.add(&one);
        }
        assert_eq!(all.count(), 1_000);
        for (share, micros) in [(0.5, 500), (0.99, 990), (1.0, 1_000), (0.001, 1)] {
            let found = all.quantile(share).as_nanos();
            let exact = micros * 1_000;
            assert!(
                found >= exact && found <= exact + exact / 16,
                "quantile {share} is {found} ns, not {exact}"
            );
        }
    }
}
