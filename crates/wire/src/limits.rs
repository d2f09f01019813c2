//! Version and bounds of the wire format.

use std::time::Duration;

/// Version of the header and of all bodies. All processes of one tree must use the same version.
pub const VERSION: u8 = 1;

/// Length of a frame's header, in bytes.
pub const HEADER_LEN: usize = 20;

/// Maximum length of one frame, header included, in bytes.
///
/// A SEQPACKET socket pair with default buffers takes datagrams of up to 212,960 bytes; longer ones fail with `EMSGSIZE`.
pub const MAX_FRAME: usize = 128 * 1024;

/// Maximum length of one frame's body, in bytes.
pub const MAX_BODY: usize = MAX_FRAME - HEADER_LEN;

/// Maximum length of one message's body, all frames together, in bytes. Send longer data by memfd.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Maximum number of incomplete messages that a [`Decoder`](crate::Decoder) keeps.
pub const MAX_PARTIAL_MESSAGES: usize = 16;

/// Default time from the first to the last fragment of a message. A later fragment fails with
/// [`FragmentTimeout`](crate::DecodeError::FragmentTimeout).
pub const PARTIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of the reason in [`Message::failed`](crate::Message::failed) and
/// [`Message::refused`](crate::Message::refused), in bytes. Longer reasons are truncated, so a reason fits one frame.
pub const MAX_REASON: usize = 4 * 1024;

/// Delay before a send is repeated that failed because the kernel had no buffers or too many descriptors in flight.
///
/// The kernel reports no event when these are free again, so drivers wait for this time instead of for `POLLOUT`.
pub const RETRY_DELAY: Duration = Duration::from_millis(5);
