//! Why a message was not sent.

use std::io;

use impresario_wire::{EncodeError, MessageKind, PortPolicyError};
use thiserror::Error;

/// Why [`PortHandle::send`](crate::PortHandle::send) did not take a message. The other end will never have it whole,
/// and the caller's descriptors are still the caller's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// Too much waits to be written. Wait for [`PortHandle::ready`](crate::PortHandle::ready), or ask somebody else.
    #[error("the port's queue is full; wait until it is ready")]
    Full,
    /// The port is closed, here or by the other end.
    #[error("the port is closed")]
    Closed,
    /// This kind of process may not say this to that one.
    #[error(transparent)]
    Forbidden(#[from] PortPolicyError),
    /// The message cannot be made into frames.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The message goes with more or fewer descriptors.
    #[error("a {kind} message was to go with {found} descriptors, expected {least} to {most}")]
    Descriptors {
        /// What was to be sent.
        kind: MessageKind,
        /// How many descriptors there were.
        found: usize,
        /// How many must go with it.
        least: usize,
        /// How many may go with it.
        most: usize,
    },
    /// The message had to wait, and its descriptors could not be kept for it.
    #[error("cannot duplicate the descriptors of a message that has to wait: {0}")]
    Duplicate(io::Error),
}
