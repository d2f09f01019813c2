//! The messages between processes, grouped by purpose.

use std::fmt;
use std::ops::RangeInclusive;

use serde_bytes::{ByteBuf, Bytes};

use crate::address::Address;
use crate::codec::{decode, encode};
use crate::error::CodecError;
use crate::kind::MessageKind;
use crate::limits::MAX_REASON;

/// One message between two processes. The [`StreamId`](crate::StreamId) of its frames relates it to other messages.
///
/// The enum is exhaustive: a new variant is a compile error in each `match` of a receiver that must handle it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    // Lifecycle: between a process and its parent.
    /// The sender has started and serves.
    Ready,
    /// The sender could not start, or must not continue.
    Failed {
        /// One line of text.
        reason: String,
    },
    /// The receiver must drain and exit.
    Quit,

    // Ports: main and prototypes announce an app's workers to the router.
    /// A worker is ready. The last descriptor is the worker's pidfd. If the app has a router, the router's end of the
    /// port between the two precedes it.
    NewPort {
        /// The worker's process id.
        process: u32,
        /// Name of the worker's app.
        app: String,
        /// Index of the worker among the app's workers, from 0. Its replacement has the same.
        slot: u32,
    },
    /// A worker has exited.
    RemovePort {
        /// The worker's process id.
        process: u32,
    },

    // Connections: a two-phase hand-over. The router keeps its descriptor until `Taken` arrives on the same stream.
    /// An accepted connection for the worker. Carries its descriptor.
    Connection {
        /// Address of the client.
        peer: Address,
        /// Address that the client connected to.
        local: Address,
        /// Bytes that the sender has read from the connection. The receiver reads them first.
        read_ahead: Vec<u8>,
    },
    /// The worker has claimed the connection.
    Taken,
    /// The worker does not take the connection; the router offers it to another worker.
    Refused {
        /// One line of text.
        reason: String,
    },
    /// The claimed connection is closed.
    Released,
}

impl Message {
    /// [`Message::Failed`] with a reason, truncated to [`MAX_REASON`] bytes.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Message::Failed { reason: truncate_reason(reason.to_string()) }
    }

    /// [`Message::Refused`] with a reason, truncated to [`MAX_REASON`] bytes.
    pub fn refused(reason: impl fmt::Display) -> Self {
        Message::Refused { reason: truncate_reason(reason.to_string()) }
    }

    /// Kind of the message.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Message::Ready => MessageKind::Ready,
            Message::Failed { .. } => MessageKind::Failed,
            Message::Quit => MessageKind::Quit,
            Message::NewPort { .. } => MessageKind::NewPort,
            Message::RemovePort { .. } => MessageKind::RemovePort,
            Message::Connection { .. } => MessageKind::Connection,
            Message::Taken => MessageKind::Taken,
            Message::Refused { .. } => MessageKind::Refused,
            Message::Released => MessageKind::Released,
        }
    }

    /// Number of descriptors that the message carries.
    pub const fn descriptors(&self) -> RangeInclusive<usize> {
        self.kind().descriptors()
    }

    /// Encodes the fields in order. The kind is in the header.
    pub(crate) fn encode_body(&self) -> Result<Vec<u8>, CodecError> {
        match self {
            Message::Ready | Message::Quit | Message::Taken | Message::Released => Ok(Vec::new()),
            Message::Failed { reason } | Message::Refused { reason } => encode(reason),
            Message::NewPort { process, app, slot } => encode(&(process, app, slot)),
            Message::RemovePort { process } => encode(process),
            Message::Connection { peer, local, read_ahead } => encode(&(peer, local, Bytes::new(read_ahead))),
        }
    }

    /// Decodes the body of a message of this kind.
    pub(crate) fn decode_body(kind: MessageKind, body: &[u8]) -> Result<Self, CodecError> {
        match kind {
            MessageKind::Ready => decode(body).map(|()| Message::Ready),
            MessageKind::Failed => decode(body).map(|reason| Message::Failed { reason }),
            MessageKind::Quit => decode(body).map(|()| Message::Quit),
            MessageKind::NewPort => {
                decode(body).map(|(process, app, slot)| Message::NewPort { process, app, slot })
            }
            MessageKind::RemovePort => decode(body).map(|process| Message::RemovePort { process }),
            MessageKind::Connection => {
                let (peer, local, read_ahead) = decode::<(Address, Address, ByteBuf)>(body)?;
                Ok(Message::Connection { peer, local, read_ahead: read_ahead.into_vec() })
            }
            MessageKind::Taken => decode(body).map(|()| Message::Taken),
            MessageKind::Refused => decode(body).map(|reason| Message::Refused { reason }),
            MessageKind::Released => decode(body).map(|()| Message::Released),
        }
    }
}

/// Truncates a reason to [`MAX_REASON`] bytes at a character boundary and marks the cut.
///
/// The encoder refuses a reason over `MAX_MESSAGE`, and then the failure would not be reported at all.
fn truncate_reason(mut reason: String) -> String {
    if reason.len() > MAX_REASON {
        let mut end = MAX_REASON - TRUNCATION_MARK.len();
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        reason.push_str(TRUNCATION_MARK);
    }
    reason
}

const TRUNCATION_MARK: &str = " ...";
