//! The outgoing queue: order, marks, descriptors and close, without a socket.

mod support;

use std::collections::VecDeque;
use std::rc::Rc;

use impresario_wire::{
    Advance, Encoder, Frames, MAX_BODY, Message, OutgoingQueue, QueueError, QueueLimits, StreamId,
};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use support::{NOW, SOURCE, connection, decoder};

const LIMITS: QueueLimits =
    QueueLimits { high_messages: 8, high_bytes: 4 * MAX_BODY, low_messages: 3, low_bytes: MAX_BODY };

fn frames(message: &Message) -> Frames {
    Encoder::new(SOURCE).encode(StreamId::NONE, message).unwrap()
}

fn numbered(process: u32) -> Frames {
    frames(&Message::RemovePort { process })
}

/// Sends all frames of the first message; returns what completed it.
fn send_message<D>(queue: &mut OutgoingQueue<D>) -> Advance {
    loop {
        match queue.advance() {
            Advance::Frame => {}
            completed => return completed,
        }
    }
}

#[test]
fn messages_leave_in_the_order_of_push() {
    let mut queue = OutgoingQueue::<u32>::new(LIMITS);
    assert!(queue.front().is_none());
    for process in 0..8 {
        queue.reserve().unwrap().push(numbered(process), Vec::new());
    }
    for process in 0..8 {
        let datagram = queue.front().unwrap().0.to_vec();
        let decoded = decoder().handle(NOW, &datagram, Vec::new()).unwrap().unwrap();
        assert_eq!(decoded.message, Message::RemovePort { process });
        assert_ne!(queue.advance(), Advance::Frame);
    }
    assert!(queue.is_empty() && queue.front().is_none());
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

#[test]
fn a_full_queue_is_congested_until_the_low_mark() {
    let mut queue = OutgoingQueue::<u32>::new(LIMITS);
    for process in 0..8 {
        queue.reserve().unwrap().push(numbered(process), Vec::new());
    }
    assert!(!queue.is_congested(), "no message was refused yet");
    assert_eq!(queue.reserve().unwrap_err(), QueueError::Full);
    assert!(queue.is_congested());
    for left in (4..8).rev() {
        assert_eq!(queue.advance(), Advance::Message, "{left} left");
        assert!(queue.reserve().is_ok() && queue.is_congested());
    }
    assert_eq!(queue.advance(), Advance::Relieved);
    assert_eq!((queue.len(), queue.is_congested()), (3, false));
    assert_eq!(queue.advance(), Advance::Message, "relieved once");
}

#[test]
fn bytes_make_a_queue_full_too() {
    let mut queue = OutgoingQueue::new(LIMITS);
    let long = frames(&connection(vec![0; 2 * MAX_BODY]));
    let length = long.body_len();
    for taken in 0..2 {
        assert_eq!(queue.bytes(), taken * length);
        queue.reserve().unwrap().push(long.clone(), vec![1]);
    }
    assert_eq!(queue.reserve().unwrap_err(), QueueError::Full);
    assert_eq!(queue.advance(), Advance::Frame);
    assert_eq!(queue.bytes(), 2 * length, "a message counts until its last frame is sent");
    assert_eq!(send_message(&mut queue), Advance::Message, "{length} bytes are over the low mark");
    assert_eq!(queue.bytes(), length);
    assert_eq!(send_message(&mut queue), Advance::Relieved);
}

#[test]
fn descriptors_go_with_the_first_frame_and_are_dropped() {
    let descriptor = Rc::new(());
    let mut queue = OutgoingQueue::new(LIMITS);
    let long = frames(&connection(vec![0; 2 * MAX_BODY]));
    queue.reserve().unwrap().push(long, vec![Rc::clone(&descriptor)]);
    assert_eq!(queue.front().unwrap().1.len(), 1);
    assert_eq!(queue.front().unwrap().1.len(), 1, "asking again changes nothing");
    assert_eq!(queue.advance(), Advance::Frame);
    assert_eq!((queue.front().unwrap().1.len(), Rc::strong_count(&descriptor)), (0, 1));
}

#[test]
fn a_message_sent_in_part_continues_without_descriptors() {
    let mut queue = OutgoingQueue::new(LIMITS);
    let mut long = frames(&connection(vec![7; 2 * MAX_BODY]));
    long.advance();
    let next = long.current().unwrap().to_vec();
    let slot = queue.reserve().unwrap();
    assert!(slot.is_next());
    slot.push(long, vec![1]);
    let (frame, descriptors) = queue.front().unwrap();
    assert_eq!((frame.to_vec(), descriptors.len()), (next, 0));
    assert!(!queue.reserve().unwrap().is_next());
}

#[test]
fn a_message_sent_completely_is_not_queued() {
    let mut queue = OutgoingQueue::<u32>::new(LIMITS);
    let mut sent = numbered(1);
    sent.advance();
    queue.reserve().unwrap().push(sent, Vec::new());
    assert!(queue.is_empty());
}

#[test]
fn close_returns_the_descriptors_and_refuses_messages() {
    let mut queue = OutgoingQueue::new(LIMITS);
    for descriptor in 0..8 {
        queue.reserve().unwrap().push(numbered(0), vec![descriptor]);
    }
    assert!(queue.reserve().is_err());
    queue.advance();
    assert_eq!(queue.close(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
    assert!(queue.is_closed() && !queue.is_congested() && queue.front().is_none());
    assert_eq!(queue.reserve().unwrap_err(), QueueError::Closed);
    assert!(queue.close().is_empty());
}

proptest! {
    /// A random sequence of pushes and sent frames against a plain list of (bytes, frames left).
    #[test]
    fn the_queue_equals_a_plain_list(steps in vec((any::<bool>(), 0..3 * MAX_BODY), 1..60)) {
        let mut queue = OutgoingQueue::<u32>::new(LIMITS);
        let mut list: VecDeque<(usize, usize)> = VecDeque::new();
        let mut congested = false;
        for (push, length) in steps {
            let bytes = list.iter().map(|(bytes, _)| bytes).sum::<usize>();
            if push {
                let is_full = list.len() >= LIMITS.high_messages || bytes >= LIMITS.high_bytes;
                congested |= is_full;
                match queue.reserve() {
                    Err(error) => prop_assert!(is_full && error == QueueError::Full),
                    Ok(slot) => {
                        prop_assert!(!is_full);
                        let frames = frames(&connection(vec![0; length]));
                        list.push_back((frames.body_len(), frames.body_len().div_ceil(MAX_BODY)));
                        slot.push(frames, vec![1]);
                    }
                }
            } else if let Some((_, left)) = list.front_mut() {
                *left -= 1;
                let expected = if *left > 0 {
                    Advance::Frame
                } else {
                    list.pop_front();
                    let bytes = list.iter().map(|(bytes, _)| bytes).sum::<usize>();
                    let is_low = list.len() <= LIMITS.low_messages && bytes <= LIMITS.low_bytes;
                    let relieved = congested && is_low;
                    congested &= !relieved;
                    if relieved { Advance::Relieved } else { Advance::Message }
                };
                prop_assert_eq!(queue.advance(), expected);
            }
            prop_assert_eq!(queue.len(), list.len());
            prop_assert_eq!(queue.bytes(), list.iter().map(|(bytes, _)| bytes).sum::<usize>());
            prop_assert_eq!(queue.is_congested(), congested);
            prop_assert_eq!(queue.front().is_none(), list.is_empty());
        }
    }
}
