//! Frames to messages.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{DecodeError, Frame, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, Message, MessageKind, StreamId};

/// One whole message and what came with it.
#[derive(Debug, PartialEq, Eq)]
pub struct DecodedMessage<D> {
    /// The process that says it has sent it; [`Link::check`](crate::Link::check) asks the kernel.
    pub source: u32,
    /// What it belongs to.
    pub stream: StreamId,
    /// What it says.
    pub message: Message,
    /// The descriptors that came with it, as many as its kind says.
    pub descriptors: Vec<D>,
}

/// A message that did not end in time and is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The process that began it.
    pub source: u32,
    /// What it belonged to.
    pub stream: StreamId,
    /// What it was to be.
    pub kind: MessageKind,
}

/// Joins the frames of one port into messages. `D` is whatever the caller calls a descriptor.
///
/// After an error the port is to be closed: frames may be missing from then on. `now` is the time since any start
/// that the caller keeps for the decoder's whole life.
#[derive(Debug)]
pub struct Decoder<D> {
    partial: Vec<Partial<D>>,
    partial_timeout: Duration,
}

/// A message of which the last frame is still to come.
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
    /// A decoder that gives each message `partial_timeout` from its first frame to its last
    /// ([`PARTIAL_TIMEOUT`](crate::PARTIAL_TIMEOUT) if nobody knows better).
    pub const fn new(partial_timeout: Duration) -> Self {
        Decoder { partial: Vec::new(), partial_timeout }
    }

    /// Takes one datagram with its descriptors; returns a message if this was its last frame.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the datagram is not a frame, not of a message that is under way, or when the message's
    /// body, length or number of descriptors is wrong. Descriptors are closed then, as their type drops.
    pub fn handle(
        &mut self,
        now: Duration,
        datagram: &[u8],
        descriptors: Vec<D>,
    ) -> Result<Option<DecodedMessage<D>>, DecodeError> {
        let frame = Frame::parse(datagram)?;
        if frame.continuation {
            return self.go_on(now, &frame, &descriptors);
        }
        check_count(frame.kind, &descriptors, frame.kind.descriptors())?;
        if self.position(&frame).is_some() {
            return Err(DecodeError::Overlap { stream: frame.stream.number() });
        }
        if frame.more {
            return self.begin(now, &frame, descriptors).map(|()| None);
        }
        finish(&frame, frame.body, descriptors).map(Some)
    }

    /// When [`Decoder::expire`] is to be called next if no message ends before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.partial.iter().map(|partial| partial.deadline).min()
    }

    /// Forgets one message that did not end in time, with its descriptors. Call it until it returns none.
    ///
    /// This is not the peer's fault alone: it may have died in between and have a successor on the same port. A
    /// fragment that still comes is an error.
    pub fn expire(&mut self, now: Duration) -> Option<Expired> {
        let index = self.partial.iter().position(|partial| partial.deadline <= now)?;
        let Partial { source, stream, kind, .. } = self.partial.swap_remove(index);
        Some(Expired { source, stream, kind })
    }

    fn begin(&mut self, now: Duration, frame: &Frame<'_>, descriptors: Vec<D>) -> Result<(), DecodeError> {
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

    fn go_on(
        &mut self,
        now: Duration,
        frame: &Frame<'_>,
        descriptors: &[D],
    ) -> Result<Option<DecodedMessage<D>>, DecodeError> {
        let stream = frame.stream.number();
        check_count(frame.kind, descriptors, 0..=0)?;
        check_progress(frame)?;
        let index = self.position(frame).ok_or(DecodeError::NoStart { stream })?;
        // Taken out, so that every error below forgets the message.
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

/// Every fragment must bring its message on, so that the limit of a message also bounds its fragments.
fn check_progress(frame: &Frame<'_>) -> Result<(), DecodeError> {
    if frame.body.is_empty() {
        return Err(DecodeError::EmptyFragment { stream: frame.stream.number() });
    }
    Ok(())
}
