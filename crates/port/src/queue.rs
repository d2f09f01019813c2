//! Messages that wait to be written: a queue with high and low marks.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use impresario_wire::{Frames, MAX_MESSAGE};

/// The most messages that wait to be written to one port. The kernel holds about 280 small ones before these.
pub const HIGH_MESSAGES: usize = 256;

/// A port that was full is ready again when at most so many messages wait.
pub const LOW_MESSAGES: usize = 64;

/// So many bytes waiting make a port full, too; the message that goes over it is still taken.
pub const HIGH_BYTES: usize = 2 * MAX_MESSAGE;

/// A port that was full is ready again when at most so many bytes wait.
pub const LOW_BYTES: usize = MAX_MESSAGE / 2;

/// First in, first out: what is said over a port is heard in the same order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    /// The high mark was reached, and the low mark has not been since.
    congested: bool,
}

/// One message and its own copies of its descriptors.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) frames: Frames,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is room for one more. Being told *no* is what makes a queue congested.
    pub(crate) fn has_room(&mut self) -> bool {
        let room = self.waiting.len() < HIGH_MESSAGES && self.bytes < HIGH_BYTES;
        self.congested |= !room;
        room
    }

    pub(crate) const fn is_congested(&self) -> bool {
        self.congested
    }

    pub(crate) fn push(&mut self, message: Outgoing) {
        self.bytes += message.frames.body_len();
        self.waiting.push_back(message);
    }

    pub(crate) fn front(&mut self) -> Option<&mut Outgoing> {
        self.waiting.front_mut()
    }

    /// Forgets the first message, which is written. Says whether the queue is no longer congested by it.
    pub(crate) fn pop(&mut self) -> bool {
        if let Some(message) = self.waiting.pop_front() {
            self.bytes = self.bytes.saturating_sub(message.frames.body_len());
        }
        let relieved = self.congested && self.waiting.len() <= LOW_MESSAGES && self.bytes <= LOW_BYTES;
        self.congested &= !relieved;
        relieved
    }
}

#[cfg(test)]
mod tests {
    use impresario_wire::{Encoder, Message, StreamId};

    use super::{HIGH_BYTES, HIGH_MESSAGES, LOW_BYTES, LOW_MESSAGES, Outgoing, Queue};

    fn outgoing(message: &Message) -> Outgoing {
        let frames = Encoder::new(1).encode(StreamId::NONE, message).unwrap();
        Outgoing { frames, fds: Vec::new() }
    }

    #[test]
    fn messages_fill_it_and_the_low_mark_relieves_it() {
        let mut queue = Queue::default();
        for _ in 0..HIGH_MESSAGES {
            assert!(queue.has_room());
            queue.push(outgoing(&Message::Ready));
        }
        assert!(!queue.is_congested(), "nobody was turned away yet");
        assert!(!queue.has_room());
        assert!(queue.is_congested());
        for left in (LOW_MESSAGES + 1..HIGH_MESSAGES).rev() {
            assert!(!queue.pop(), "{left} left");
            assert!(queue.has_room() && queue.is_congested());
        }
        assert!(queue.pop());
        assert_eq!(queue.len(), LOW_MESSAGES);
        assert!(!queue.is_congested() && !queue.pop());
    }

    #[test]
    fn bytes_fill_it_too() {
        let big = Message::Failed { reason: "x".repeat(HIGH_BYTES / 4) };
        let mut queue = Queue::default();
        while queue.has_room() {
            queue.push(outgoing(&big));
        }
        assert_eq!(queue.len(), 4);
        let pops = (1..=4).find(|_| queue.pop());
        assert_eq!(pops, Some(4), "one of {} bytes is over the low mark of {LOW_BYTES}", HIGH_BYTES / 4);
        assert!(queue.is_empty());
    }
}
