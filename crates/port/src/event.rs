//! The events that a port passes to its handler.

use std::io;
use std::os::fd::OwnedFd;

use impresario_wire::{DecodeError, Message, PortPolicyError, StreamId};
use thiserror::Error;

/// One complete message from the peer.
#[derive(Debug)]
pub struct Incoming {
    /// The stream that the message belongs to.
    pub stream: StreamId,
    /// The message.
    pub message: Message,
    /// Its descriptors. The number is in the range of [`Message::descriptors`].
    pub fds: Vec<OwnedFd>,
    /// Pid of the sender, verified against the kernel's credentials.
    pub sender: u32,
}

/// Argument of a [`Port`](crate::Port)'s handler.
#[derive(Debug)]
pub enum PortEvent {
    /// A message has arrived.
    Message(Incoming),
    /// The port is closed. The last event, delivered once per handle.
    Closed(CloseReason),
}

/// Why a port is closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// All copies of the peer's end are closed; usually its process has exited.
    #[error("the other end was closed")]
    Eof,
    /// [`PortHandle::close`](crate::PortHandle::close) was called.
    #[error("closed by this process")]
    Local,
    /// The peer sent bytes that are no message.
    #[error("malformed input: {0}")]
    Malformed(#[from] DecodeError),
    /// The sender is not the expected process, or may not send this message.
    #[error("refused input: {0}")]
    Refused(#[from] PortPolicyError),
    /// The socket failed, or descriptors of a received message were lost.
    #[error("the port's socket failed: {0}")]
    Io(#[from] io::Error),
}

impl CloseReason {
    /// Whether the reason is no error: [`Eof`](Self::Eof) or [`Local`](Self::Local).
    pub const fn is_orderly(&self) -> bool {
        matches!(self, CloseReason::Eof | CloseReason::Local)
    }
}
