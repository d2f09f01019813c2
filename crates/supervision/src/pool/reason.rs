//! Why a worker is retired or recycled.

use std::fmt;
use std::time::Duration;

/// Why a worker is recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecycleReason {
    /// It has served as many requests as it may.
    Requests(u64),
    /// It is as old as it may become.
    Age(Duration),
    /// It uses more memory than it should, in bytes.
    Memory(u64),
    /// Somebody asked for it, perhaps the worker itself.
    Asked,
}

impl fmt::Display for RecycleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests(requests) => write!(f, "it has served {requests} requests"),
            Self::Age(age) => write!(f, "it is {:.0} s old", age.as_secs_f64()),
            Self::Memory(bytes) => write!(f, "it uses {bytes} bytes of memory"),
            Self::Asked => f.write_str("it was asked for"),
        }
    }
}

/// Why a worker is told to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetireReason {
    /// It was idle for too long, and there are enough spare ones.
    Idle,
    /// The pool has become smaller.
    Surplus,
    /// It has reached a limit; its replacement is ready, or it needs none.
    Recycled(RecycleReason),
    /// It is of a generation that is not wanted any more.
    Replaced,
    /// The pool is drained.
    Drained,
    /// The pool is stopped.
    Stopped,
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("it was idle for too long"),
            Self::Surplus => f.write_str("the pool has become smaller"),
            Self::Recycled(cause) => write!(f, "it is recycled because {cause}"),
            Self::Replaced => f.write_str("its generation is not wanted any more"),
            Self::Drained => f.write_str("the pool is drained"),
            Self::Stopped => f.write_str("the pool is stopped"),
        }
    }
}
