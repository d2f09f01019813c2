//! What a port tells its handler.

use std::io;
use std::os::fd::OwnedFd;

use impresario_wire::{DecodeError, Message, PortPolicyError, StreamId};
use thiserror::Error;

/// One message from the other end, whole, whatever number of frames it came in.
#[derive(Debug)]
pub struct Incoming {
    /// What it belongs to.
    pub stream: StreamId,
    /// What it says.
    pub message: Message,
    /// The descriptors that came with it, as many as [`Message::descriptors`] says.
    pub fds: Vec<OwnedFd>,
    /// The process that sent it, by the kernel's word.
    pub sender: u32,
}

/// What a [`Port`](crate::Port) calls its handler with.
#[derive(Debug)]
pub enum PortEvent {
    /// A message has come.
    Message(Incoming),
    /// Nothing comes any more. The last event, and delivered once.
    Closed(CloseReason),
}

/// Why a port is closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The other end was closed everywhere: usually its process is gone.
    #[error("the other end was closed")]
    Eof,
    /// [`PortHandle::close`](crate::PortHandle::close) was called.
    #[error("closed by this process")]
    Local,
    /// The peer sent what is not a message.
    #[error("malformed input: {0}")]
    Malformed(#[from] DecodeError),
    /// The peer is not who it should be, or said what it may not say.
    #[error("refused input: {0}")]
    Refused(#[from] PortPolicyError),
    /// The socket failed, or a message was lost on the way in with some of its descriptors.
    #[error("the port's socket failed: {0}")]
    Io(#[from] io::Error),
}

impl CloseReason {
    /// Whether a port can end so without anything being wrong.
    pub const fn is_orderly(&self) -> bool {
        matches!(self, CloseReason::Eof | CloseReason::Local)
    }
}
