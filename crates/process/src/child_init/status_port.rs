//! Messages of a child to its parent from outside any loop: READY, and the reason of a failure.

use std::io::ErrorKind;
use std::time::Duration;

use impresario_sys::{SeqPacket, wait_writable};
use impresario_wire::{Encoder, Message, StreamId};

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
            Err(error) if error.kind() == ErrorKind::WouldBlock && is_writable(port) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Waits until the port is writable; false after [`SEND_TIMEOUT`] or if it cannot be polled.
fn is_writable(port: &SeqPacket) -> bool {
    wait_writable(port, Some(SEND_TIMEOUT)).unwrap_or(false)
}
