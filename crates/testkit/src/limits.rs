//! Time limits of all waits.

use std::time::Duration;

/// Bound of every wait for one event: 20 s, because other tests may load the machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Bound of the time from the exit of main to the exit of the last process of its tree.
pub const TREE_EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval at which a condition without an event of its own is polled.
pub const TICK: Duration = Duration::from_millis(5);
