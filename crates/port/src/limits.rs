//! Bounds of a port.

use impresario_wire::{MAX_MESSAGE, QueueLimits};

pub use impresario_wire::RETRY_DELAY;

/// Maximum number of messages that a [`Port`](crate::Port) reads in one poll, so that other tasks of its thread run.
pub const READ_BUDGET: usize = 64;

/// Maximum number of messages that a [`Port`](crate::Port) writes in one poll, so that other tasks of its thread run.
pub const WRITE_BUDGET: usize = 64;

/// A port with this many messages in its queue is full. The socket holds about 280 small messages besides.
pub const HIGH_MESSAGES: usize = 256;

/// A full port is ready again when its queue holds at most this many messages and at most [`LOW_BYTES`].
pub const LOW_MESSAGES: usize = 64;

/// A port with this many bytes in its queue is full. The message that crosses the mark is still taken.
pub const HIGH_BYTES: usize = 2 * MAX_MESSAGE;

/// A full port is ready again when its queue holds at most this many bytes and at most [`LOW_MESSAGES`].
pub const LOW_BYTES: usize = MAX_MESSAGE / 2;

pub(crate) const QUEUE_LIMITS: QueueLimits = QueueLimits {
    high_messages: HIGH_MESSAGES,
    high_bytes: HIGH_BYTES,
    low_messages: LOW_MESSAGES,
    low_bytes: LOW_BYTES,
};
