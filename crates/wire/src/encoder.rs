//! Messages to frames.

use crate::{EncodeError, Frame, MAX_BODY, MAX_MESSAGE, Message, MessageKind, StreamId};

/// Makes frames that bear one process's id.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    source: u32,
}

impl Encoder {
    /// An encoder for the process with the id `source`. A forked child needs one of its own.
    pub const fn new(source: u32) -> Self {
        Encoder { source }
    }

    /// The process this encoder speaks for.
    pub const fn source(&self) -> u32 {
        self.source
    }

    /// The frames of `message`, at least one.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLarge`] over [`MAX_MESSAGE`].
    pub fn encode(&self, stream: StreamId, message: &Message) -> Result<Frames, EncodeError> {
        let kind = message.kind();
        let body = message.encode_body().map_err(|error| EncodeError::Body { kind, error })?;
        if body.len() > MAX_MESSAGE {
            return Err(EncodeError::TooLarge { kind, length: body.len() });
        }
        Ok(Frames { kind, source: self.source, stream, body, sent: 0, done: false })
    }
}

/// One encoded message: its frames in order, each to be sent before the next.
///
/// Frames of other streams may go in between, frames of the same stream may not. Descriptors go with the first.
#[derive(Clone, Debug)]
pub struct Frames {
    kind: MessageKind,
    source: u32,
    stream: StreamId,
    body: Vec<u8>,
    /// How much of the body is in frames before the current one.
    sent: usize,
    /// The last frame is behind us; an empty body has one frame, too.
    done: bool,
}

impl Frames {
    /// The frame to send now; none when all are sent.
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

    /// The current frame is sent: go on to the next.
    pub fn advance(&mut self) {
        self.sent = self.body.len().min(self.sent + MAX_BODY);
        self.done = self.sent == self.body.len();
    }

    /// Whether the current frame is the first, which takes the descriptors along.
    pub const fn is_first(&self) -> bool {
        self.sent == 0 && !self.done
    }

    /// How many bytes the message's body has, over all its frames.
    pub const fn body_len(&self) -> usize {
        self.body.len()
    }

    /// What the message is.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }
}
