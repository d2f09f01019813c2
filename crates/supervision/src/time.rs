//! The time of the rules: a duration since a start that the driver chooses.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A monotonic time: the duration since a start that the driver chooses once per supervisor.
///
/// The rules never read a clock. Every input carries its own `now`, which must not go back. A driver computes it
/// from a monotonic clock; a test counts it up.
///
/// Unit: nanoseconds, as in [`Duration`]. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The start itself.
    pub const START: Time = Time(Duration::ZERO);

    /// The time that is `elapsed` after the start.
    pub const fn from_start(elapsed: Duration) -> Self {
        Time(elapsed)
    }

    /// The duration since the start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The duration since `earlier`; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, rhs: Duration) -> Time {
        Time(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, rhs: Duration) -> Time {
        Time(self.0.saturating_sub(rhs))
    }
}
