//! Messages of a child to its parent from outside any loop: READY, and the reason of a failure.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use impresario_sys::{ErrorClass, classify, wait_writable};
use impresario_wire::{Encoder, Message, RETRY_DELAY, StreamId};

use crate::frame_socket::FrameSocket;

/// How long a child tries to send one message. A child sends one or two messages here, so the socket buffer is
/// never full while the parent works.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a message to the parent and returns whether it was sent. Blocks for at most [`SEND_TIMEOUT`].
pub(crate) fn send_blocking(port: &impl FrameSocket, message: &Message) -> bool {
    send_within(port, message, SEND_TIMEOUT)
}

fn send_within(port: &impl FrameSocket, message: &Message, timeout: Duration) -> bool {
    let Ok(mut frames) = Encoder::new(std::process::id()).encode(StreamId::NONE, message) else {
        return false;
    };
    let begin = Instant::now();
    while let Some(frame) = frames.current() {
        match port.send_frame(&frame, &[]) {
            Ok(()) => frames.advance(),
            Err(error) => {
                let remaining = timeout.saturating_sub(begin.elapsed());
                if remaining.is_zero() || !wait(port, &error, remaining) {
                    return false;
                }
            }
        }
    }
    true
}

/// Waits until a failed send may be repeated, at most `limit`. False if it may not.
#[expect(
    clippy::disallowed_methods,
    reason = "no event reports that kernel buffers are free again; the thread has no other work"
)]
fn wait(port: &impl FrameSocket, error: &io::Error, limit: Duration) -> bool {
    match classify(error) {
        ErrorClass::Interrupted => true,
        ErrorClass::WouldBlock => match wait_writable(port, Some(limit)) {
            Ok(writable) => writable,
            // EINTR: a signal handler of user code ran.
            Err(error) => classify(&error) == ErrorClass::Interrupted,
        },
        ErrorClass::NoBuffers => {
            sleep(RETRY_DELAY.min(limit));
            true
        }
        ErrorClass::Closed | ErrorClass::Fatal => false,
    }
}

#[cfg(test)]
mod tests {
    use impresario_sys::SeqPacket;
    use rustix::io::Errno;

    use super::*;
    use crate::frame_socket::testing::{FailingSocket, NO_BUFFERS};

    fn pair() -> (FailingSocket, SeqPacket) {
        let (child, parent) = SeqPacket::pair().unwrap();
        (FailingSocket::new(child), parent)
    }

    #[test]
    fn passing_errors_are_retried() {
        let (child, parent) = pair();
        child.fail(NO_BUFFERS.into_iter().chain([Errno::INTR, Errno::AGAIN]));
        assert!(send_blocking(&child, &Message::Ready));
        assert_eq!(child.calls(), 6);
        assert!(!parent.recv(&mut [0; 64]).unwrap().is_eof());
    }

    #[test]
    fn retries_end_at_the_timeout() {
        let (child, _parent) = pair();
        child.fail([Errno::NOBUFS; 100]);
        assert!(!send_within(&child, &Message::Ready, 2 * RETRY_DELAY));
        assert!((2..100).contains(&child.calls()), "{} calls", child.calls());
    }

    #[test]
    fn fatal_errors_and_a_closed_parent_are_not_retried() {
        let (child, parent) = pair();
        child.fail([Errno::BADF]);
        assert!(!send_blocking(&child, &Message::Ready));
        drop(parent);
        assert!(!send_blocking(&child, &Message::Ready));
        assert_eq!(child.calls(), 2);
    }
}
