//! The messages that processes of a tree send to each other, and their encoding. A pure codec: slices and times in,
//! values out, no I/O.
//!
//! One [`Frame`] is one datagram: a fixed header and a body. A [`Message`] with a longer body is split into
//! several frames. The [`Decoder`] joins them again, so the receiver gets each message once and complete.
//!
//! ```
//! use std::time::Duration;
//! use impresario_wire::{Decoder, Encoder, Message, PARTIAL_TIMEOUT, StreamId};
//!
//! let mut frames = Encoder::new(std::process::id()).encode(StreamId::NONE, &Message::Ready)?;
//! let mut decoder = Decoder::<()>::new(PARTIAL_TIMEOUT);
//! let mut received = None;
//! while let Some(frame) = frames.current() {
//!     received = decoder.handle(Duration::ZERO, &frame.to_vec(), Vec::new())?;
//!     frames.advance();
//! }
//! assert_eq!(received.map(|decoded| decoded.message), Some(Message::Ready));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The main types:
//!
//! * [`Message`]: the closed list of messages between two processes.
//! * [`Encoder`] and [`Decoder`]: messages to frames, and frames to messages. [`OutgoingQueue`] holds what a full
//!   socket does not take yet.
//! * [`PortPolicy`]: the roles at the two ends of a port, and which message kinds may pass between them.
//!
//! This crate has no socket, descriptor, clock, actor or process. It counts descriptors, and the caller
//! chooses their type. Each input that depends on time takes a `now` argument.

mod address;
mod codec;
mod decoder;
mod encoder;
mod error;
mod frame;
mod kind;
mod limits;
mod message;
mod outgoing;
mod policy;
mod role;

pub use address::Address;
pub use decoder::{DecodedMessage, Decoder, Expired};
pub use encoder::{Encoder, Frames};
pub use error::{CodecError, DecodeError, EncodeError, PortPolicyError};
pub use frame::{Frame, StreamId};
pub use kind::{MessageKind, UnknownKind};
pub use limits::{
    HEADER_LEN, MAX_BODY, MAX_FRAME, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, MAX_REASON, PARTIAL_TIMEOUT,
    RETRY_DELAY, VERSION,
};
pub use message::Message;
pub use outgoing::{Advance, OutgoingQueue, OutgoingSlot, QueueError, QueueLimits};
pub use policy::PortPolicy;
pub use role::{Role, may_hold_port, may_send};
