//! How long to wait before a child that keeps failing is started again.

use std::time::Duration;

use crate::Time;

/// A growing delay between restarts of one child (OTP has none: a child that needs a database burns its intensity
/// in microseconds).
///
/// The first restart after a healthy time is immediate; the next waits `first`, and each further one `factor`
/// times longer, up to `max`. A life that lasted `reset_after` starts the row again. A shutdown never waits for
/// a backoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The delay before the second restart in a row.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
    /// How much longer each delay is than the one before it.
    pub factor: f64,
    /// How long a life must last for the row to start again.
    pub reset_after: Duration,
}

impl Default for Backoff {
    /// At once, then 20 ms, 40 ms, ... up to 500 ms; forgiven after 5 s of health.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(20),
            max: Duration::from_millis(500),
            factor: 2.0,
            reset_after: Duration::from_secs(5),
        }
    }
}

impl Backoff {
    /// The delay before restart number `row` in a row, counted from 0.
    pub fn delay(&self, row: u32) -> Duration {
        let Some(doublings) = row.checked_sub(1) else { return Duration::ZERO };
        let seconds = self.first.as_secs_f64() * self.factor.max(1.0).powi(doublings.min(1_000) as i32);
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max).min(self.max)
    }
}

/// How far one child is in its row of failures.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    failures: u32,
}

impl Row {
    /// A life that became ready at `since` (if it ever did) ended at `now`: how long to wait before the next.
    pub(crate) fn failed(&mut self, now: Time, since: Option<Time>, backoff: &Backoff) -> Duration {
        if since.is_some_and(|since| now.saturating_since(since) >= backoff.reset_after) {
            self.failures = 0;
        }
        let delay = backoff.delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_longest_and_resets_after_health() {
        let backoff = Backoff::default();
        let mut row = Row::default();
        let now = Time::from_start(Duration::from_secs(60));
        let delays: Vec<u128> = (0..8).map(|_| row.failed(now, Some(now), &backoff).as_millis()).collect();
        assert_eq!(delays, [0, 20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(row.failed(now, Some(now - backoff.reset_after), &backoff), Duration::ZERO);
    }

    #[test]
    fn a_row_without_end_stays_at_the_longest() {
        assert_eq!(Backoff::default().delay(u32::MAX), Backoff::default().max);
    }
}
