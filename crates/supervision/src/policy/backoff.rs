//! Backoff: the delay before a child that keeps failing is restarted.

use std::fmt;
use std::time::Duration;

use crate::id::ChildId;
use crate::policy::rng::SplitMix64;
use crate::policy::spec_error::SpecError;
use crate::time::Time;

/// A growing delay between restarts of one child.
///
/// The first restart of a row of failures is immediate. The second waits `first`; each further one waits `factor`
/// times longer, up to `max`. An incarnation that was ready for `reset_after` ends the row.
///
/// A shutdown does not wait for a backoff. A request to restart the child ends its backoff.
///
/// OTP has no backoff: a child that fails to start uses up the intensity within microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The delay before the second restart of a row. Default: 20 ms.
    pub first: Duration,
    /// The longest delay. Default: 500 ms.
    pub max: Duration,
    /// The ratio of each delay to the one before it; at least 1. Default: 2.
    pub factor: f64,
    /// The largest share that is taken off a delay at random, from 0 to 1. Default: 0.
    ///
    /// It spreads the restarts of children that failed together. The random numbers follow from
    /// [`Supervisor::seed`](crate::Supervisor::seed).
    pub jitter: f64,
    /// How long an incarnation must have been ready to end the row. Default: 5 s.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// Immediately, then after 20 ms, 40 ms, ... up to 500 ms, without jitter. 5 s of ready time end the row.
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
    /// The delay before restart number `row` of a row, from 0, without jitter.
    pub fn delay(&self, row: u32) -> Duration {
        let Some(steps) = row.checked_sub(1) else { return Duration::ZERO };
        // Beyond i32::MAX steps the delay is `max`, or the factor is 1 and the number of steps has no effect.
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        // Infinity times a `first` of 0 would be NaN, which is no duration and would become `max`.
        let factor = self.factor.powi(steps).min(f64::MAX);
        let seconds = self.first.as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }

    /// The delay less the share `random * jitter`; `random` is from 0 to 1.
    fn apply_jitter(&self, delay: Duration, random: f64) -> Duration {
        delay.mul_f64(1.0 - self.jitter * random)
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

/// A restart that waits for the backoff of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayedRestart {
    /// From the failure to the restart. A sibling with a longer backoff in the same group extends it.
    pub delay: Duration,
    /// The number of this restart in the current row of failures, from 1.
    pub attempt: u32,
}

impl fmt::Display for DelayedRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "restarting in {} ms (attempt {})", self.delay.as_millis(), self.attempt)
    }
}

/// The row of failures of one child.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackoffState {
    failures: u32,
}

impl BackoffState {
    /// Records a failure at `now`; returns the restart that follows. Its delay may be zero.
    ///
    /// `since`: when the incarnation became ready; `None` if it failed to start.
    pub(crate) fn failed(
        &mut self,
        now: Time,
        since: Option<Time>,
        backoff: &Backoff,
        rng: &mut SplitMix64,
    ) -> DelayedRestart {
        if since.is_some_and(|since| now.saturating_since(since) >= backoff.reset_after) {
            self.failures = 0;
        }
        let delay = backoff.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        let delay = if delay.is_zero() { delay } else { backoff.apply_jitter(delay, rng.next()) };
        DelayedRestart { delay, attempt: self.failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays_of(backoff: &Backoff, seed: u64) -> Vec<u128> {
        let (mut state, mut rng) = (BackoffState::default(), SplitMix64(seed));
        let now = Time::from_start(Duration::from_secs(60));
        (0..8).map(|_| state.failed(now, Some(now), backoff, &mut rng).delay.as_millis()).collect()
    }

    #[test]
    fn delays_double_up_to_the_maximum() {
        assert_eq!(delays_of(&Backoff::default(), 0), [0, 20, 40, 80, 160, 320, 500, 500]);
    }

    #[test]
    fn ready_time_of_reset_after_ends_the_row() {
        let backoff = Backoff::default();
        let (mut state, mut rng) = (BackoffState::default(), SplitMix64(0));
        let now = Time::from_start(Duration::from_secs(60));
        let mut failed = |since| state.failed(now, since, &backoff, &mut rng).delay.as_millis();
        assert_eq!([failed(None), failed(None)], [0, 20]);
        let almost = now - backoff.reset_after + Duration::from_nanos(1);
        assert_eq!(failed(Some(almost)), 40);
        assert_eq!(failed(Some(now - backoff.reset_after)), 0);
        assert_eq!(failed(None), 20);
    }

    #[test]
    fn jitter_shortens_delays_and_follows_the_seed() {
        let backoff = Backoff { jitter: 0.5, ..Backoff::default() };
        let (one, other) = (delays_of(&backoff, 1), delays_of(&backoff, 2));
        assert_eq!(one, delays_of(&backoff, 1));
        assert_ne!(one, other);
        for (shortened, whole) in
            one.iter().chain(&other).zip(delays_of(&Backoff::default(), 0).iter().cycle())
        {
            assert!(shortened <= whole && *shortened >= whole / 2, "{shortened} of {whole}");
        }
    }

    #[test]
    fn delay_number_u32_max_is_the_maximum() {
        assert_eq!(Backoff::default().delay(u32::MAX), Backoff::default().max);
        let steady = Backoff { factor: 1.0, ..Backoff::default() };
        assert_eq!(steady.delay(u32::MAX), steady.first);
        let none = Backoff { first: Duration::ZERO, ..Backoff::default() };
        assert_eq!(none.delay(u32::MAX), Duration::ZERO, "a first delay of 0 does not grow");
    }

    #[test]
    fn invalid_backoff_is_refused_with_child_and_value() {
        let child = ChildId::from("db");
        let good = Backoff::default();
        assert_eq!(good.check(&child), Ok(()));
        for (bad, value) in [
            (Backoff { first: Duration::from_secs(1), ..good }, "1s"),
            (Backoff { factor: 0.5, ..good }, "0.5"),
            (Backoff { factor: f64::NAN, ..good }, "NaN"),
            (Backoff { jitter: 1.5, ..good }, "1.5"),
            (Backoff { jitter: -0.5, ..good }, "-0.5"),
        ] {
            let error = bad.check(&child).expect_err(value).to_string();
            assert!(error.contains("\"db\"") && error.contains(value), "{error}");
        }
        let edge = Backoff { first: good.max, factor: 1.0, jitter: 1.0, ..good };
        assert_eq!(edge.check(&child), Ok(()));
    }
}
