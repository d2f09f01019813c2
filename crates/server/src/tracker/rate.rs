//! The rate limit: a token bucket that gets the time as a value.

use std::time::Duration;

use impresario_supervision::Time;

/// A limit of connections for each period: a token bucket.
///
/// It holds at most `burst` tokens, and gets one token each `period / count`. Each admitted connection takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    period: Duration,
    burst: u32,
}

impl Rate {
    /// `count` connections a second, with a burst of `count`. Zero counts as one.
    pub const fn per_second(count: u32) -> Self {
        Self::per(count, Duration::from_secs(1))
    }

    /// `count` connections each `period`, with a burst of `count`. Zero counts as one.
    pub const fn per(count: u32, period: Duration) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self { count, period, burst: count }
    }

    /// Sets the most connections that are admitted at once after a pause. Zero counts as one.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst: if burst == 0 { 1 } else { burst }, ..self }
    }

    /// The time between two new tokens.
    fn interval(self) -> Duration {
        self.period / self.count
    }
}

/// A bucket of tokens, kept as the time at which it is full. So there is no counter to refill and no rounding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    full_at: Time,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Time::START }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// The time until the bucket has a token; `None` when it has one now.
    pub(crate) fn wait(&self, now: Time) -> Option<Duration> {
        let missing = self.full_after_take(now).saturating_since(now);
        let capacity = self.rate.interval().saturating_mul(self.rate.burst);
        (missing > capacity).then(|| missing - capacity)
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// The time until the bucket has a token, when it has none now.
    pub(crate) fn take(&mut self, now: Time) -> Result<(), Duration> {
        if let Some(wait) = self.wait(now) {
            return Err(wait);
        }
        self.full_at = self.full_after_take(now);
        Ok(())
    }

    fn full_after_take(&self, now: Time) -> Time {
        self.full_at.max(now) + self.rate.interval()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    /// How many of `of` connections get a token at this time.
    fn admitted(bucket: &mut Bucket, now: Time, of: u32) -> u32 {
        (0..of).map(|_| u32::from(bucket.take(now).is_ok())).sum()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(Rate::per_second(10).burst(3));
        assert_eq!(admitted(&mut bucket, at(0), 100), 3);
        assert_eq!(bucket.take(at(0)), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(at(99)), Err(Duration::from_millis(1)));
        assert_eq!(admitted(&mut bucket, at(100), 100), 1);
        assert_eq!(admitted(&mut bucket, at(350), 100), 2);
        assert_eq!(admitted(&mut bucket, at(100_000), 100), 3, "a pause saves no more than the burst");
    }

    #[test]
    fn over_a_minute_the_tokens_are_exactly_the_rate() {
        let mut bucket = Bucket::new(Rate::per_second(50));
        let through: u32 = (0..60_000).map(|millis| admitted(&mut bucket, at(millis), 2)).sum();
        assert_eq!(through, 50 + 59 * 50 + 49);
    }

    #[test]
    fn after_the_returned_wait_there_is_a_token() {
        let mut bucket = Bucket::new(Rate::per_second(3));
        let mut now = at(0);
        for _ in 0..100 {
            if let Err(wait) = bucket.take(now) {
                now = now + wait;
                assert_eq!(bucket.take(now), Ok(()));
            }
        }
        let seconds = now.since_start().as_secs_f64();
        assert!((32.0..33.0).contains(&seconds), "97 after the first three took {seconds} s");
    }

    #[test]
    fn a_rate_of_zero_is_a_rate_of_one() {
        assert_eq!(Rate::per_second(0), Rate::per_second(1));
        assert_eq!(Rate::per_second(5).burst(0), Rate::per_second(5).burst(1));
    }
}
