//! Restart intensity: how many restarts a supervisor makes within a period.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// At most `restarts` restarts within any `period`; if one more is due, the supervisor gives up (OTP: intensity and
/// period).
///
/// Default: 3 restarts in 5 s, as in Elixir (OTP: 1 in 5 s). 0 restarts: the first failure ends the supervisor.
///
/// * A restart counts before it is made. One that waits for a [`Backoff`](crate::Backoff) counts before the wait.
/// * The restart of a group counts once.
/// * Each retry after a failed restart counts.
/// * A restart on request does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// The maximum number of restarts within one period.
    pub restarts: u32,
    /// The length of the sliding window. Must not be zero.
    pub period: Duration,
}

impl Intensity {
    /// At most `restarts` within any `period`.
    pub const fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period }
    }
}

impl Default for Intensity {
    fn default() -> Self {
        Self::new(3, Duration::from_secs(5))
    }
}

/// The times of the restarts within the last period, oldest first. Bound: the highest limit so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestartWindow {
    instants: VecDeque<Time>,
}

impl RestartWindow {
    /// Counts a restart at `now`. `false`: it would exceed the limit; it is not counted and must not be made.
    pub(crate) fn allow(&mut self, now: Time, limit: Intensity) -> bool {
        // Inclusive, as in OTP: a restart exactly one period ago counts.
        while self.instants.front().is_some_and(|&then| now.saturating_since(then) > limit.period) {
            self.instants.pop_front();
        }
        self.instants.push_back(now);
        let allowed = self.instants.len() <= limit.restarts as usize;
        if !allowed {
            self.instants.pop_front();
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Time {
        Time::from_start(Duration::from_millis(ms))
    }

    #[test]
    fn restart_exactly_one_period_ago_counts() {
        let limit = Intensity::new(1, Duration::from_secs(5));
        let mut window = RestartWindow::default();
        assert!(window.allow(at(0), limit));
        assert!(!window.allow(at(5_000), limit), "exactly one period ago counts");
        let mut window = RestartWindow::default();
        assert!(window.allow(at(0), limit));
        assert!(window.allow(at(5_001), limit));
        assert!(!window.allow(at(5_002), limit));
    }

    #[test]
    fn limit_of_zero_allows_no_restart() {
        assert!(!RestartWindow::default().allow(at(7), Intensity::new(0, Duration::from_secs(1))));
    }
}
