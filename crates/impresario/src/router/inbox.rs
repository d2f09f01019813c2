//! What one worker has sent to the router and the dispatcher has not handled yet, with a bound.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use impresario_port::{CloseReason, Incoming, PortEvent};
use impresario_wire::{Message as Frame, StreamId};

use super::dispatch::MAX_UNANSWERED;

/// Answers of one worker that may wait for the dispatcher. A worker has at most this many unanswered offers, so only a
/// worker that answers what it was not offered exceeds it.
pub(super) const MAX_WAITING_ANSWERS: usize = MAX_UNANSWERED;

/// An event of a worker's port, as the dispatcher handles it.
#[derive(Debug)]
pub(super) enum WorkerEvent {
    /// The worker has claimed the connection.
    Taken(StreamId),
    /// The worker has refused the connection, for this reason.
    Refused(StreamId, String),
    /// This many connections of the worker are closed.
    Released(usize),
    /// The port is closed.
    Closed(CloseReason),
}

/// [`MAX_WAITING_ANSWERS`] answers wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InboxFull;

/// The waiting events of one worker, in order.
///
/// Bound: [`MAX_WAITING_ANSWERS`] answers, one `Released` before each of them and one after them, and one `Closed`.
#[derive(Debug)]
pub(super) struct Inbox {
    /// The incarnation of the router. Answers to an earlier one are dropped.
    incarnation: u32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<WorkerEvent>,
    answers: usize,
    /// The dispatcher was notified and has not emptied the inbox since.
    notified: bool,
}

impl Inbox {
    pub(super) fn new(incarnation: u32) -> Self {
        Self { incarnation, queue: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code under this lock can panic between two changes, so a poisoned queue is consistent.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event. `true`: the caller must notify the dispatcher.
    ///
    /// # Errors
    ///
    /// It is one answer too many; it is dropped.
    pub(super) fn push(&self, event: PortEvent) -> Result<bool, InboxFull> {
        let event = match event {
            PortEvent::Closed(reason) => WorkerEvent::Closed(reason),
            PortEvent::Message(Incoming { stream, .. }) if stream.incarnation() != self.incarnation => {
                return Ok(false);
            }
            PortEvent::Message(Incoming { stream, message, .. }) => match message {
                Frame::Taken => WorkerEvent::Taken(stream),
                Frame::Refused { reason } => WorkerEvent::Refused(stream, reason),
                Frame::Released => WorkerEvent::Released(1),
                // The policy of the port admits no other frame.
                _ => return Ok(false),
            },
        };
        let mut queue = self.lock();
        match (event, queue.events.back_mut()) {
            (WorkerEvent::Released(_), Some(WorkerEvent::Released(count))) => {
                *count = count.saturating_add(1);
            }
            (event @ (WorkerEvent::Taken(_) | WorkerEvent::Refused(..)), _) => {
                if queue.answers >= MAX_WAITING_ANSWERS {
                    return Err(InboxFull);
                }
                queue.answers += 1;
                queue.events.push_back(event);
            }
            (event, _) => queue.events.push_back(event),
        }
        Ok(!std::mem::replace(&mut queue.notified, true))
    }

    /// Removes all events. The next [`push`](Self::push) notifies again.
    pub(super) fn take(&self) -> VecDeque<WorkerEvent> {
        std::mem::take(&mut *self.lock()).events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCARNATION: u32 = 3;

    fn message(stream: StreamId, message: Frame) -> PortEvent {
        PortEvent::Message(Incoming { stream, message, fds: Vec::new(), sender: 1 })
    }

    fn taken(inbox: &Inbox) -> Vec<String> {
        inbox.take().iter().map(|event| format!("{event:?}")).collect()
    }

    fn stream(number: u32) -> StreamId {
        StreamId::new(INCARNATION, number)
    }

    #[test]
    fn many_releases_take_one_entry() {
        let inbox = Inbox::new(INCARNATION);
        for number in 0..10_000 {
            inbox.push(message(stream(number), Frame::Released)).unwrap();
        }
        assert_eq!(taken(&inbox), ["Released(10000)"]);
    }

    #[test]
    fn an_answer_beyond_the_bound_is_an_error() {
        let inbox = Inbox::new(INCARNATION);
        for number in 0..MAX_WAITING_ANSWERS as u32 {
            inbox.push(message(stream(number), Frame::Taken)).unwrap();
        }
        assert_eq!(inbox.push(message(stream(9_999), Frame::refused("full"))), Err(InboxFull));
        assert_eq!(
            inbox.push(message(stream(1), Frame::Released)),
            Ok(false),
            "the bound is that of answers"
        );
        assert_eq!(inbox.push(PortEvent::Closed(CloseReason::Local)), Ok(false));
        assert_eq!(inbox.take().len(), MAX_WAITING_ANSWERS + 2);
        assert_eq!(inbox.push(message(stream(9_999), Frame::Taken)), Ok(true), "an empty inbox has capacity");
    }

    #[test]
    fn order_is_kept_and_one_notification_is_enough() {
        let inbox = Inbox::new(INCARNATION);
        assert_eq!(inbox.push(message(stream(1), Frame::Released)), Ok(true));
        assert_eq!(inbox.push(message(stream(2), Frame::refused("full"))), Ok(false));
        assert_eq!(inbox.push(message(stream(3), Frame::Released)), Ok(false));
        let refused = format!("{:?}", WorkerEvent::Refused(stream(2), "full".to_owned()));
        assert_eq!(taken(&inbox), ["Released(1)", &refused, "Released(1)"]);
    }

    #[test]
    fn answers_to_an_earlier_router_are_dropped() {
        let inbox = Inbox::new(INCARNATION);
        assert_eq!(inbox.push(message(StreamId::new(INCARNATION - 1, 1), Frame::Taken)), Ok(false));
        assert!(inbox.take().is_empty());
    }
}
