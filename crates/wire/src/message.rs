//! Everything one process can say to another, in one place, grouped by purpose.

use std::fmt;
use std::ops::RangeInclusive;

use serde_bytes::{ByteBuf, Bytes};

use crate::codec::{decode, encode};
use crate::{Address, CodecError, MAX_REASON, MessageKind};

/// One message between two processes. What it refers to besides itself is named by its stream.
///
/// The list is closed on purpose: a new message is a compile error wherever somebody must say what it means to him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    // Life: between a process and its parent.
    /// I am up and do my work.
    Ready,
    /// I could not start, or must not go on.
    Failed {
        /// One readable line.
        reason: String,
    },
    /// Drain and leave.
    Quit,

    // Ports: how a router comes to know an app's workers.
    /// A worker is ready. Carries the worker's pidfd last, and before it, if the app has a router, the router's end
    /// of the port between the two.
    NewPort {
        /// The worker's process id.
        process: u32,
        /// The app it works for.
        app: String,
        /// Which of the app's workers it is, from 0; its replacement has the same.
        slot: u32,
    },
    /// A worker is gone.
    RemovePort {
        /// The worker's process id.
        process: u32,
    },

    // Connections: a hand-over in two phases. The router keeps its descriptor until `Taken` on the same stream.
    /// Here is a connection. Carries its descriptor.
    Connection {
        /// Who connected.
        peer: Address,
        /// To which of our addresses.
        local: Address,
        /// What was read from the connection before, to be read again first.
        read_ahead: Vec<u8>,
    },
    /// The connection is mine now.
    Taken,
    /// The connection is not mine; give it to another.
    Refused {
        /// One readable line.
        reason: String,
    },
    /// The connection that was taken has ended.
    Released,
}

impl Message {
    /// [`Message::Failed`] with any printable reason, cut to [`MAX_REASON`] bytes.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Message::Failed { reason: cut(reason.to_string()) }
    }

    /// [`Message::Refused`] with any printable reason, cut to [`MAX_REASON`] bytes.
    pub fn refused(reason: impl fmt::Display) -> Self {
        Message::Refused { reason: cut(reason.to_string()) }
    }

    /// What this message is.
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

    /// How many descriptors go with this message.
    pub const fn descriptors(&self) -> RangeInclusive<usize> {
        self.kind().descriptors()
    }

    /// The body: the fields in order. The kind is in the header.
    pub(crate) fn encode_body(&self) -> Result<Vec<u8>, CodecError> {
        match self {
            Message::Ready | Message::Quit | Message::Taken | Message::Released => Ok(Vec::new()),
            Message::Failed { reason } | Message::Refused { reason } => encode(reason),
            Message::NewPort { process, app, slot } => encode(&(process, app, slot)),
            Message::RemovePort { process } => encode(process),
            Message::Connection { peer, local, read_ahead } => encode(&(peer, local, Bytes::new(read_ahead))),
        }
    }

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

/// A reason must get through whatever it says: one that is too long loses its end, not its sender's port.
fn cut(mut reason: String) -> String {
    if reason.len() > MAX_REASON {
        let mut end = MAX_REASON - CUT_MARK.len();
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        reason.truncate(end);
        reason.push_str(CUT_MARK);
    }
    reason
}

const CUT_MARK: &str = " ...";
