//! Splits messages into frames.

use crate::error::EncodeError;
use crate::frame::{Frame, StreamId};
use crate::kind::MessageKind;
use crate::limits::{MAX_BODY, MAX_MESSAGE};
use crate::message::Message;

/// Encodes messages into frames with one process id as their `source`.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    source: u32,
}

impl Encoder {
    /// An encoder for the process with the id `source`. A forked child must create its own: peers reject frames with the
    /// parent's id.
    pub const fn new(source: u32) -> Self {
        Encoder { source }
    }

    /// The process id in the frames.
    pub const fn source(&self) -> u32 {
        self.source
    }

    /// Encodes `message` into one or more frames.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`] when the body is longer than [`MAX_MESSAGE`].
    pub fn encode(&self, stream: StreamId, message: &Message) -> Result<Frames, EncodeError> {
        let kind = message.kind();
        let body = message.encode_body().map_err(|error| EncodeError::Body { kind, error })?;
        if body.len() > MAX_MESSAGE {
            return Err(EncodeError::TooLarge { kind, length: body.len() });
        }
        Ok(Frames { kind, source: self.source, stream, body, sent: 0, done: false })
    }
}

/// One encoded message: a cursor over its frames.
///
/// Send the frames in order. Frames of other streams may be sent in between, frames of the same stream may not. The
/// message's descriptors are sent with the first frame.
#[derive(Clone, Debug)]
pub struct Frames {
    kind: MessageKind,
    source: u32,
    stream: StreamId,
    body: Vec<u8>,
    /// Bytes of the body in the frames before the current one.
    sent: usize,
    /// Whether all frames are sent. `sent` cannot express it: an empty body has one frame.
    done: bool,
}

impl Frames {
    /// The next frame to send; `None` when all are sent.
    pub fn current(&self) -> Option<Frame<'_>> {
        if self.done {
            return None;
        }
        let rest = self.body.get(self.sent..).unwrap_or_default();
        let (body, after) = rest.split_at(rest.len().min(MAX_BODY));
        Some(Frame {
            kind: self.kind,
            more: !after.is_empty(),
            continuation: self.sent > 0,
            source: self.source,
            stream: self.stream,
            body,
        })
    }

    /// Moves to the next frame, after the current one is sent.
    pub fn advance(&mut self) {
        self.sent = self.body.len().min(self.sent + MAX_BODY);
        self.done = self.sent == self.body.len();
    }

    /// Whether the current frame is the first, which carries the descriptors. False when all frames are sent.
    pub const fn is_first(&self) -> bool {
        self.sent == 0 && !self.done
    }

    /// Length of the message's body over all frames, in bytes.
    pub const fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Kind of the message.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }
}
