//! Every bound of the wire, by name.

use std::time::Duration;

use crate::HEADER_LEN;

/// The most bytes of one frame, header included.
///
/// A datagram of a SEQPACKET socket pair with default buffers holds 212,960 bytes; more is refused by the kernel.
pub const MAX_FRAME: usize = 128 * 1024;

/// The most bytes of one frame's body.
pub const MAX_BODY: usize = MAX_FRAME - HEADER_LEN;

/// The most bytes of one message's body, all its frames together. Bulk data goes another way (by memfd).
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// The most messages of one port that may have begun and not ended at a time.
pub const MAX_PARTIAL_MESSAGES: usize = 16;

/// How long a message may take from its first frame to its last, if nobody knows better.
pub const PARTIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a reason in [`Message::failed`](crate::Message::failed) and
/// [`Message::refused`](crate::Message::refused): longer ones are cut, so that a reason always fits one frame.
pub const MAX_REASON: usize = 4 * 1024;
