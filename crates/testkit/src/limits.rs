//! Time limits of all waits.

use std::time::Duration;

/// The longest time that a test waits for one event. Generous: other tests may load the machine.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The longest time from the exit of main to the exit of the last process of its tree.
pub const TREE_EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The interval at which a condition without an event of its own is polled.
pub const TICK: Duration = Duration::from_millis(5);
