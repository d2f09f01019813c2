//! Joins frames into messages.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::DecodeError;
use crate::frame::{Frame, StreamId};
use crate::kind::MessageKind;
use crate::limits::{MAX_MESSAGE, MAX_PARTIAL_MESSAGES};
use crate::message::Message;

/// One complete message with its header fields and descriptors.
#[derive(Debug, PartialEq, Eq)]
pub struct DecodedMessage<D> {
    /// The sender's pid according to the frame header. [`PortPolicy::check`](crate::PortPolicy::check) compares it with
    /// the kernel's.
    pub source: u32,
    /// The stream that the message belongs to.
    pub stream: StreamId,
    /// The message.
    pub message: Message,
    /// Its descriptors. The number is in the range of [`MessageKind::descriptors`].
    pub descriptors: Vec<D>,
}

/// An incomplete message that the decoder has discarded after its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The sender's pid according to the frame header.
    pub source: u32,
    /// Its stream.
    pub stream: StreamId,
    /// Its kind.
    pub kind: MessageKind,
}

/// Joins the frames of one port into messages. `D` is the caller's type of a descriptor.
///
/// After an error, close the port: later frames may belong to a message that was discarded.
///
/// `now` is the time since an instant that the caller chooses once per decoder.
#[derive(Debug)]
pub struct Decoder<D> {
    partial: Vec<Partial<D>>,
    partial_timeout: Duration,
}

/// A message without its last frame.
#[derive(Debug)]
struct Partial<D> {
    source: u32,
    stream: StreamId,
    kind: MessageKind,
    body: Vec<u8>,
    descriptors: Vec<D>,
    deadline: Duration,
}

impl<D> Decoder<D> {
    /// A decoder that discards a message when its last frame does not follow the first within `partial_timeout`.
    /// [`PARTIAL_TIMEOUT`](crate::PARTIAL_TIMEOUT) is the usual value.
    pub const fn new(partial_timeout: Duration) -> Self {
        Decoder { partial: Vec::new(), partial_timeout }
    }

    /// Takes one datagram with its descriptors. Returns the message when this was its last frame.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the datagram is not a frame, when a fragment continues no message, or when the message's
    /// body, length or number of descriptors is wrong. The descriptors of the message are dropped.
    pub fn handle(
        &mut self,
        now: Duration,
        datagram: &[u8],
        descriptors: Vec<D>,
    ) -> Result<Option<DecodedMessage<D>>, DecodeError> {
        let frame = Frame::parse(datagram)?;
        if frame.continuation {
            return self.continue_message(now, &frame, &descriptors);
        }
        check_count(frame.kind, &descriptors, frame.kind.descriptors())?;
        if self.position(&frame).is_some() {
            return Err(DecodeError::Overlap { stream: frame.stream.number() });
        }
        if frame.more {
            return self.begin_message(now, &frame, descriptors).map(|()| None);
        }
        finish(&frame, frame.body, descriptors).map(Some)
    }

    /// The earliest deadline of an incomplete message: call [`Decoder::expire`] then. `None` when there is none.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.partial.iter().map(|partial| partial.deadline).min()
    }

    /// Discards one message past its deadline, with its descriptors. Call it until it returns `None`.
    ///
    /// An expired message is not an error of the port: the sender may have died, and its successor uses the same port. A
    /// later fragment of the message is an error ([`DecodeError::NoStart`]).
    pub fn expire(&mut self, now: Duration) -> Option<Expired> {
        let index = self.partial.iter().position(|partial| partial.deadline <= now)?;
        let Partial { source, stream, kind, .. } = self.partial.swap_remove(index);
        Some(Expired { source, stream, kind })
    }

    fn begin_message(
        &mut self,
        now: Duration,
        frame: &Frame<'_>,
        descriptors: Vec<D>,
    ) -> Result<(), DecodeError> {
        check_progress(frame)?;
        if self.partial.len() >= MAX_PARTIAL_MESSAGES {
            return Err(DecodeError::TooManyPartial);
        }
        self.partial.push(Partial {
            source: frame.source,
            stream: frame.stream,
            kind: frame.kind,
            body: frame.body.to_vec(),
            descriptors,
            deadline: now.saturating_add(self.partial_timeout),
        });
        Ok(())
    }

    fn continue_message(
        &mut self,
        now: Duration,
        frame: &Frame<'_>,
        descriptors: &[D],
    ) -> Result<Option<DecodedMessage<D>>, DecodeError> {
        let stream = frame.stream.number();
        check_count(frame.kind, descriptors, 0..=0)?;
        check_progress(frame)?;
        let index = self.position(frame).ok_or(DecodeError::NoStart { stream })?;
        // Removed first, so that each error below discards the message.
        let mut partial = self.partial.swap_remove(index);
        let kind = partial.kind;
        if frame.kind != kind {
            return Err(DecodeError::KindChanged { stream, kind, found: frame.kind });
        }
        if partial.deadline <= now {
            return Err(DecodeError::FragmentTimeout { stream, kind });
        }
        if partial.body.len() + frame.body.len() > MAX_MESSAGE {
            return Err(DecodeError::TooLarge { stream, kind });
        }
        partial.body.extend_from_slice(frame.body);
        if frame.more {
            self.partial.push(partial);
            return Ok(None);
        }
        finish(frame, &partial.body, partial.descriptors).map(Some)
    }

    fn position(&self, frame: &Frame<'_>) -> Option<usize> {
        self.partial
            .iter()
            .position(|partial| partial.stream == frame.stream && partial.source == frame.source)
    }
}

fn finish<D>(frame: &Frame<'_>, body: &[u8], descriptors: Vec<D>) -> Result<DecodedMessage<D>, DecodeError> {
    let kind = frame.kind;
    let message = Message::decode_body(kind, body).map_err(|error| DecodeError::Body { kind, error })?;
    Ok(DecodedMessage { source: frame.source, stream: frame.stream, message, descriptors })
}

fn check_count<D>(
    kind: MessageKind,
    descriptors: &[D],
    allowed: RangeInclusive<usize>,
) -> Result<(), DecodeError> {
    let found = descriptors.len();
    if allowed.contains(&found) {
        return Ok(());
    }
    Err(DecodeError::Descriptors { kind, found, least: *allowed.start(), most: *allowed.end() })
}

/// Rejects an empty fragment: without bytes in each, [`MAX_MESSAGE`] would not bound the number of fragments.
fn check_progress(frame: &Frame<'_>) -> Result<(), DecodeError> {
    if frame.body.is_empty() {
        return Err(DecodeError::EmptyFragment { stream: frame.stream.number() });
    }
    Ok(())
}
