//! How long to wait before a child that keeps failing is started again.

use std::time::Duration;

use crate::id::ChildId;
use crate::policy::rng::SplitMix64;
use crate::policy::spec_error::SpecError;
use crate::time::Time;

/// A growing delay between restarts of one child (OTP has none: a child that needs a database burns its intensity
/// in microseconds).
///
/// The first restart after a healthy time is immediate; the next waits `first`, and each further one `factor`
/// times longer, up to `max`. A life that lasted `reset_after` starts the row again. Neither a shutdown nor a
/// request ever waits for a backoff, and a request to restart the child ends it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The delay before the second restart in a row.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
    /// How much longer each delay is than the one before it; at least 1.
    pub factor: f64,
    /// How much of a delay may be cut off at random, from 0 to 1, so that many who failed together do not come
    /// back together. The randomness comes from outside, as a number: [`Supervisor::seed`](crate::Supervisor::seed).
    pub jitter: f64,
    /// How long a life must last for the row to start again.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// At once, then 20 ms, 40 ms, ... up to 500 ms, without jitter; forgiven after 5 s of health.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(20),
            max: Duration::from_millis(500),
            factor: 2.0,
            jitter: 0.0,
            reset_after: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The delay before restart number `row` in a row, counted from 0, before anything is cut off.
    pub fn delay(&self, row: u32) -> Duration {
        let Some(steps) = row.checked_sub(1) else { return Duration::ZERO };
        // More steps than this are at the longest delay, or the factor is 1.
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        // Finite, so that nothing times it is still nothing.
        let factor = self.factor.powi(steps).min(f64::MAX);
        let seconds = self.first.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }

    /// What is left of a delay after `luck`, from 0 (all of it) to 1 (the jitter cut off).
    fn apply_jitter(&self, delay: Duration, luck: f64) -> Duration {
        delay.mul_f64(1.0 - self.jitter * luck)
    }

    pub(crate) fn check(&self, child: &ChildId) -> Result<(), SpecError> {
        let Self { first, max, factor, jitter, reset_after: _ } = *self;
        let child = child.clone();
        if first > max {
            return Err(SpecError::BackoffMax { child, first, max });
        }
        if !factor.is_finite() || factor < 1.0 {
            return Err(SpecError::BackoffFactor { child, factor });
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(SpecError::BackoffJitter { child, jitter });
        }
        Ok(())
    }
}

/// How far one child is in its row of failures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackoffState {
    failures: u32,
}

impl BackoffState {
    /// A life that became ready at `since` (if it ever did) ended at `now`: how long to wait before the next.
    pub(crate) fn failed(
        &mut self,
        now: Time,
        since: Option<Time>,
        backoff: &Backoff,
        rng: &mut SplitMix64,
    ) -> Duration {
        if since.is_some_and(|since| now.saturating_since(since) >= backoff.reset_after) {
            self.failures = 0;
        }
        let delay = backoff.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        if delay.is_zero() { delay } else { backoff.apply_jitter(delay, rng.next()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(backoff: &Backoff, seed: u64) -> Vec<u128> {
        let (mut row, mut rng) = (BackoffState::default(), SplitMix64(seed));
        let now = Time::from_start(Duration::from_secs(60));
        (0..8).map(|_| row.failed(now, Some(now), backoff, &mut rng).as_millis()).collect()
    }

    #[test]
    fn grows_to_the_longest() {
        assert_eq!(row_of(&Backoff::default(), 0), [0, 20, 40, 80, 160, 320, 500, 500]);
    }

    #[test]
    fn health_starts_the_row_again() {
        let backoff = Backoff::default();
        let (mut row, mut rng) = (BackoffState::default(), SplitMix64(0));
        let now = Time::from_start(Duration::from_secs(60));
        let mut failed = |since| row.failed(now, since, &backoff, &mut rng).as_millis();
        assert_eq!([failed(None), failed(None)], [0, 20]);
        let almost = now - backoff.reset_after + Duration::from_nanos(1);
        assert_eq!(failed(Some(almost)), 40);
        assert_eq!(failed(Some(now - backoff.reset_after)), 0);
        assert_eq!(failed(None), 20);
    }

    #[test]
    fn jitter_cuts_and_the_seed_says_how_much() {
        let backoff = Backoff { jitter: 0.5, ..Backoff::default() };
        let (one, other) = (row_of(&backoff, 1), row_of(&backoff, 2));
        assert_eq!(one, row_of(&backoff, 1));
        assert_ne!(one, other);
        for (cut, whole) in one.iter().chain(&other).zip(row_of(&Backoff::default(), 0).iter().cycle()) {
            assert!(cut <= whole && *cut >= whole / 2, "{cut} of {whole}");
        }
    }

    #[test]
    fn a_row_without_end_stays_at_the_longest() {
        assert_eq!(Backoff::default().delay(u32::MAX), Backoff::default().max);
        let steady = Backoff { factor: 1.0, ..Backoff::default() };
        assert_eq!(steady.delay(u32::MAX), steady.first);
        let none = Backoff { first: Duration::ZERO, ..Backoff::default() };
        assert_eq!(none.delay(u32::MAX), Duration::ZERO, "nothing does not grow");
    }

    #[test]
    fn bad_values_are_named() {
        let child = ChildId::from("db");
        let good = Backoff::default();
        assert_eq!(good.check(&child), Ok(()));
        for (bad, said) in [
            (Backoff { first: Duration::from_secs(1), ..good }, "1s"),
            (Backoff { factor: 0.5, ..good }, "0.5"),
            (Backoff { factor: f64::NAN, ..good }, "NaN"),
            (Backoff { jitter: 1.5, ..good }, "1.5"),
            (Backoff { jitter: -0.5, ..good }, "-0.5"),
        ] {
            let error = bad.check(&child).expect_err(said).to_string();
            assert!(error.contains("\"db\"") && error.contains(said), "{error}");
        }
        let edge = Backoff { first: good.max, factor: 1.0, jitter: 1.0, ..good };
        assert_eq!(edge.check(&child), Ok(()));
    }
}
