//! The outgoing queue of one port: order, high and low marks, and the next frame to send. No I/O: a driver sends the
//! frame and reports it with `advance`.

use std::collections::VecDeque;

use thiserror::Error;

use crate::encoder::Frames;
use crate::frame::Frame;

/// Bounds of an [`OutgoingQueue`], in messages and in bytes of their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// The queue is full when it holds this many messages.
    pub high_messages: usize,
    /// The queue is full when the bodies in it have this many bytes together. The message that crosses the mark is
    /// still taken, so the bound is `high_bytes` + [`MAX_MESSAGE`](crate::MAX_MESSAGE).
    pub high_bytes: usize,
    /// A congested queue recovers when it holds at most this many messages and at most `low_bytes`.
    pub low_messages: usize,
    /// See `low_messages`.
    pub low_bytes: usize,
}

/// Why an [`OutgoingQueue`] takes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueueError {
    /// A high mark is reached.
    #[error("the outgoing queue is full")]
    Full,
    /// [`OutgoingQueue::close`] was called.
    #[error("the outgoing queue is closed")]
    Closed,
}

/// What [`OutgoingQueue::advance`] completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// One frame. The message has more.
    Frame,
    /// The last frame of a message.
    Message,
    /// The last frame of a message, and the queue is no longer congested: notify the senders that wait for capacity.
    Relieved,
}

/// Bounded first-in, first-out queue of the messages that wait to be sent on one port.
///
/// `D` is the type of an attached descriptor, which the queue owns until the message's first frame is sent.
///
/// A driver loops over [`front`](Self::front), the system call and [`advance`](Self::advance). When the call fails
/// without having sent anything, the driver leaves the queue as it is and tries the same frame again later.
///
/// The queue is congested from the first [`QueueError::Full`] until the low marks are reached.
#[derive(Debug)]
pub struct OutgoingQueue<D> {
    waiting: VecDeque<Outgoing<D>>,
    limits: QueueLimits,
    /// Bytes of all bodies in `waiting`. A message counts in full until its last frame is sent.
    bytes: usize,
    congested: bool,
    closed: bool,
}

#[derive(Debug)]
struct Outgoing<D> {
    frames: Frames,
    /// Empty once the first frame is sent.
    descriptors: Vec<D>,
}

/// Capacity for one message at the end of an [`OutgoingQueue`].
#[derive(Debug)]
pub struct OutgoingSlot<'a, D> {
    queue: &'a mut OutgoingQueue<D>,
}

impl<D> OutgoingQueue<D> {
    /// An empty queue.
    pub const fn new(limits: QueueLimits) -> Self {
        OutgoingQueue { waiting: VecDeque::new(), limits, bytes: 0, congested: false, closed: false }
    }

    /// Capacity for one message.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] at a high mark; the queue is congested from then on. [`QueueError::Closed`] after
    /// [`close`](Self::close).
    pub fn reserve(&mut self) -> Result<OutgoingSlot<'_, D>, QueueError> {
        if self.closed {
            return Err(QueueError::Closed);
        }
        if self.waiting.len() >= self.limits.high_messages || self.bytes >= self.limits.high_bytes {
            self.congested = true;
            return Err(QueueError::Full);
        }
        Ok(OutgoingSlot { queue: self })
    }

    /// The next frame and the descriptors to send with it; none when the queue is empty.
    pub fn front(&self) -> Option<(Frame<'_>, &[D])> {
        let Outgoing { frames, descriptors } = self.waiting.front()?;
        Some((frames.current()?, descriptors))
    }

    /// Removes the frame that [`front`](Self::front) returned, because it is sent, and drops its descriptors.
    /// Does nothing on an empty queue.
    pub fn advance(&mut self) -> Advance {
        if let Some(Outgoing { frames, descriptors }) = self.waiting.front_mut() {
            // The kernel has its own references now.
            descriptors.clear();
            frames.advance();
            if frames.current().is_some() {
                return Advance::Frame;
            }
            self.bytes = self.bytes.saturating_sub(frames.body_len());
            self.waiting.pop_front();
        }
        let is_low = self.waiting.len() <= self.limits.low_messages && self.bytes <= self.limits.low_bytes;
        if self.congested && is_low {
            self.congested = false;
            return Advance::Relieved;
        }
        Advance::Message
    }

    /// Discards all messages and refuses new ones. Returns the discarded descriptors, so that the caller can close them
    /// after it has released its lock. Returns none the second time.
    pub fn close(&mut self) -> Vec<D> {
        self.closed = true;
        self.congested = false;
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_iter().flat_map(|message| message.descriptors).collect()
    }

    /// Number of messages of which at least one frame is not sent.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of the bodies of all waiting messages.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a message was refused as [`QueueError::Full`] and the low marks are not reached since.
    pub const fn is_congested(&self) -> bool {
        self.congested
    }

    /// Whether [`close`](Self::close) was called.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }
}

impl<D> OutgoingSlot<'_, D> {
    /// Whether no message waits before this one. It may be sent without the queue then.
    pub fn is_next(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends a message with its descriptors.
    ///
    /// A message of which some frames are sent already continues with the next one, and its descriptors are dropped.
    /// One that is sent completely is dropped.
    pub fn push(self, frames: Frames, mut descriptors: Vec<D>) {
        if frames.current().is_none() {
            return;
        }
        if !frames.is_first() {
            descriptors.clear();
        }
        self.queue.bytes += frames.body_len();
        self.queue.waiting.push_back(Outgoing { frames, descriptors });
    }
}
