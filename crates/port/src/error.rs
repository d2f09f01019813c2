//! Why a message was not sent.

use std::io;

use impresario_wire::{EncodeError, MessageKind, PortPolicyError, QueueError};
use thiserror::Error;

/// Why [`PortHandle::send`](crate::PortHandle::send) did not take a message. The peer never receives it completely. The
/// caller keeps its descriptors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue has reached [`HIGH_MESSAGES`](crate::HIGH_MESSAGES) or [`HIGH_BYTES`](crate::HIGH_BYTES). Wait for
    /// [`PortHandle::ready`](crate::PortHandle::ready), or use another port.
    #[error("the port's queue is full; wait until it is ready")]
    Full,
    /// The port is closed, by this process or by the peer.
    #[error("the port is closed")]
    Closed,
    /// The role of this process may not send this kind to the peer's role.
    #[error(transparent)]
    Forbidden(#[from] PortPolicyError),
    /// The message cannot be encoded into frames.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The number of descriptors is outside of the message kind's range.
    #[error("a {kind} message was to be sent with {found} descriptors, expected {least} to {most}")]
    Descriptors {
        /// Kind of the message.
        kind: MessageKind,
        /// Number of descriptors that the caller passed.
        found: usize,
        /// Minimum number.
        least: usize,
        /// Maximum number.
        most: usize,
    },
    /// The socket is full, and the descriptors could not be duplicated for the queue.
    #[error("cannot duplicate the descriptors of a queued message: {0}; look at the limit on open files")]
    Duplicate(io::Error),
}

impl From<QueueError> for SendError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => SendError::Full,
            // `QueueError` is non-exhaustive. Of any other refusal the caller can do what it does at a closed port.
            _ => SendError::Closed,
        }
    }
}
