//! What processes say to each other, as bytes: a pure codec that only knows slices and times.
//!
//! One [`Frame`] is one datagram: a fixed header and a body. A [`Message`] whose body is longer than a frame
//! becomes several frames, which the other side joins, so that a handler sees every message once and whole.
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
//! assert_eq!(received.map(|whole| whole.message), Some(Message::Ready));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Three types to know:
//!
//! * [`Message`]: everything one process can say to another.
//! * [`Encoder`] and [`Decoder`]: messages to frames, and frames back to messages.
//! * [`Link`]: who is at the two ends of a port, and therefore what may be said over it.
//!
//! This crate deliberately knows no socket, no descriptor, no clock, no actor and no process: descriptors are
//! counted but their type is the caller's, and every input brings its own `now`.

mod address;
mod codec;
mod decoder;
mod encoder;
mod error;
mod frame;
mod kind;
mod limits;
mod link;
mod message;
mod role;

pub use address::Address;
pub use decoder::{DecodedMessage, Decoder, Expired};
pub use encoder::{Encoder, Frames};
pub use error::{CodecError, DecodeError, EncodeError, PortPolicyError};
pub use frame::{Frame, HEADER_LEN, StreamId, VERSION};
pub use kind::MessageKind;
pub use limits::{MAX_BODY, MAX_FRAME, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, MAX_REASON, PARTIAL_TIMEOUT};
pub use link::PortPolicy;
pub use message::Message;
pub use role::{Role, may_hold_port, may_send};
