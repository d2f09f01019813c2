//! Reasons for retiring and for recycling a worker.

use std::fmt;
use std::time::Duration;

/// Why a worker is recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecycleReason {
    /// It has served this many requests, its limit or more.
    Requests(u64),
    /// It was ready for this long, its limit or more.
    Age(Duration),
    /// It uses this much memory, more than its limit. Unit: bytes.
    Memory(u64),
    /// [`Event::Recycle`](super::Event::Recycle) requested it.
    Asked,
}

impl fmt::Display for RecycleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(requests) => write!(f, "it has served {requests} requests"),
            Self::Age(age) => write!(f, "it is {:.0} s old", age.as_secs_f64()),
            Self::Memory(bytes) => write!(f, "it uses {bytes} bytes of memory"),
            Self::Asked => f.write_str("it was requested"),
        }
    }
}

/// Why a worker is retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetireReason {
    /// It was idle for `idle_timeout` and is not a spare.
    Idle,
    /// It is above the maximum, or its slot is beyond a static size.
    Surplus,
    /// It reached a limit, and its replacement is ready or not needed.
    Recycled(RecycleReason),
    /// Its generation is not the current one.
    Replaced,
    /// The pool is drained.
    Drained,
    /// The pool is stopped.
    Stopped,
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("it was idle"),
            Self::Surplus => f.write_str("the pool is smaller"),
            Self::Recycled(reason) => write!(f, "it is recycled because {reason}"),
            Self::Replaced => f.write_str("its generation is replaced"),
            Self::Drained => f.write_str("the pool is drained"),
            Self::Stopped => f.write_str("the pool is stopped"),
        }
    }
}
