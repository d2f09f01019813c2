//! A point in time that anyone can make: real drivers read a clock, tests count.

use std::ops::{Add, Sub};
use std::time::Duration;

/// The duration since an arbitrary start that one driver keeps for a supervisor's whole life.
///
/// It only ever grows. The core never reads a clock; every input brings its own `now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The arbitrary start itself.
    pub const START: Time = Time(Duration::ZERO);

    /// The time `elapsed` after the start.
    pub const fn from_start(elapsed: Duration) -> Self {
        Time(elapsed)
    }

    /// How long ago the start was.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
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
