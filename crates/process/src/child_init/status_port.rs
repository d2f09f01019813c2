//! Messages of a child to its parent from outside any loop: READY, and the reason of a failure.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::Duration;

use impresario_sys::SeqPacket;
use impresario_wire::{Encoder, Message, StreamId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a child waits for its port to become writable. A child sends one or two messages here, so the
/// socket buffer is never full while the parent works.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends a message to the parent and returns whether it was sent. Blocks for at most [`SEND_TIMEOUT`] per
/// frame.
pub(crate) fn send_blocking(port: &SeqPacket, message: &Message) -> bool {
    let Ok(mut frames) = Encoder::new(std::process::id()).encode(StreamId::NONE, message) else {
        return false;
    };
    while let Some(frame) = frames.current() {
        match port.send(&frame.parts(&frame.header()), &[]) {
            Ok(()) => frames.advance(),
            Err(error) if error.kind() == ErrorKind::WouldBlock && wait_writable(port) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Waits until the port is writable; false after [`SEND_TIMEOUT`] or if it cannot be polled.
fn wait_writable(port: &SeqPacket) -> bool {
    let timeout = PollTimeout::try_from(SEND_TIMEOUT).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(port.as_fd(), PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0)
}
