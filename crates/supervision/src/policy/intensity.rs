//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// At most `restarts` restarts within any `period`; one more, and the supervisor gives up (OTP: intensity and
/// period).
///
/// The default is 3 restarts in 5 seconds. Zero restarts means none at all. A restart counts before it is made, and
/// one that waits for a [`Backoff`](crate::Backoff) counts before the wait. That of a group counts once, a try after
/// a failed one counts again, and what somebody asked for does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// How many restarts one period may see.
    pub restarts: u32,
    /// The length of the window that is looked at. Must not be zero.
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

/// The instants of the restarts that still count, oldest first; never longer than the highest limit so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestartWindow {
    instants: VecDeque<Time>,
}

impl RestartWindow {
    /// Counts a restart at `now`. False when it is one too many and must not be attempted.
    pub(crate) fn allow(&mut self, now: Time, limit: Intensity) -> bool {
        // Inclusive, as in OTP: a restart exactly one period ago still counts.
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
    fn the_window_is_inclusive_and_exact() {
        let limit = Intensity::new(1, Duration::from_secs(5));
        let mut window = RestartWindow::default();
        assert!(window.allow(at(0), limit));
        assert!(!window.allow(at(5_000), limit), "exactly one period later still counts");
        let mut window = RestartWindow::default();
        assert!(window.allow(at(0), limit));
        assert!(window.allow(at(5_001), limit));
        assert!(!window.allow(at(5_002), limit));
    }

    #[test]
    fn zero_allows_none() {
        assert!(!RestartWindow::default().allow(at(7), Intensity::new(0, Duration::from_secs(1))));
    }
}
