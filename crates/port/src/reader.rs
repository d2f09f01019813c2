//! Receives datagrams and joins them into messages. Each datagram's sender and kind are checked before it is decoded.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task;
use std::time::Duration;

use impresario_sys::{ErrorClass, Received, SeqPacket, classify};
use impresario_wire::{Decoder, Frame, MAX_FRAME, PortPolicy};
use slog::{Logger, warn};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::event::{CloseReason, Incoming};

pub(crate) struct Reader {
    policy: PortPolicy,
    decoder: Decoder<OwnedFd>,
    buffer: Box<[u8]>,
    /// Origin of the decoder's `now`.
    start: Instant,
    /// Set while a message is incomplete.
    timer: Option<Pin<Box<Sleep>>>,
    log: Logger,
}

/// Result of one receive.
#[derive(Debug)]
pub(crate) enum Read {
    /// The socket has no datagram.
    Blocked,
    /// A fragment; the message is not complete.
    Fragment,
    /// A complete message.
    Message(Incoming),
}

impl Reader {
    pub(crate) fn new(policy: PortPolicy, partial_timeout: Duration, log: Logger) -> Self {
        Reader {
            policy,
            decoder: Decoder::new(partial_timeout),
            buffer: vec![0; MAX_FRAME].into_boxed_slice(),
            start: Instant::now(),
            timer: None,
            log,
        }
    }

    /// Receives one datagram. An error closes the port.
    pub(crate) fn read(&mut self, socket: &SeqPacket) -> Result<Read, CloseReason> {
        let received = match socket.recv(&mut self.buffer).and_then(Received::complete) {
            Ok(received) => received,
            Err(error) => {
                return match classify(&error) {
                    ErrorClass::WouldBlock => Ok(Read::Blocked),
                    ErrorClass::Closed => Err(CloseReason::Eof),
                    _ => Err(error.into()),
                };
            }
        };
        if received.is_eof() {
            return Err(CloseReason::Eof);
        }
        let datagram = self.buffer.get(..received.len).unwrap_or_default();
        let sender = received.sender.and_then(|pid| u32::try_from(pid.as_raw()).ok());
        let frame = Frame::parse(datagram)?;
        self.policy.check(sender, frame.source(), frame.kind())?;
        let decoded = self.decoder.handle(self.start.elapsed(), datagram, received.fds)?;
        Ok(decoded.map_or(Read::Fragment, |decoded| {
            // The policy's check has verified that the source is the sender.
            let (stream, message, fds) = (decoded.stream, decoded.message, decoded.descriptors);
            Read::Message(Incoming { stream, message, fds, sender: decoded.source })
        }))
    }

    /// Discards incomplete messages past their deadline, and registers the task for the next deadline.
    ///
    /// The port stays open: the sender may have died, and its successor uses the same port.
    pub(crate) fn poll_expire(&mut self, cx: &mut task::Context<'_>) {
        while let Some(expired) = self.decoder.expire(self.start.elapsed()) {
            warn!(self.log, "incomplete message discarded after its timeout";
                "kind" => %expired.kind, "stream" => %expired.stream, "sender" => expired.source);
        }
        let Some(deadline) = self.decoder.poll_timeout().map(|timeout| self.start + timeout) else {
            self.timer = None;
            return;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::Duration;

    use impresario_sys::SeqPacket;
    use impresario_wire::{Encoder, MAX_BODY, Message, PARTIAL_TIMEOUT, PortPolicy, Role, StreamId};
    use slog::{Discard, Logger, o};

    use super::{Read, Reader};
    use crate::event::CloseReason;

    fn policy() -> PortPolicy {
        PortPolicy::new(Role::Main, Role::Prototype).unwrap()
    }

    fn reader(partial_timeout: Duration) -> Reader {
        Reader::new(policy(), partial_timeout, Logger::root(Discard, o!()))
    }

    /// Sends a `failed` message of three frames, and calls `after_each` after each.
    fn send_three_frames(peer: &SeqPacket, mut after_each: impl FnMut()) {
        let message = Message::Failed { reason: "x".repeat(2 * MAX_BODY) };
        let mut frames = Encoder::new(std::process::id()).encode(StreamId::new(0, 1), &message).unwrap();
        while let Some(frame) = frames.current() {
            peer.send(&frame.parts(&frame.header()), &[]).unwrap();
            after_each();
            frames.advance();
        }
    }

    #[test]
    fn three_fragments_are_one_message() {
        let (peer, own) = SeqPacket::pair().unwrap();
        let mut reader = reader(PARTIAL_TIMEOUT);
        let mut read = Vec::new();
        assert!(matches!(reader.read(&own), Ok(Read::Blocked)));
        send_three_frames(&peer, || read.push(reader.read(&own).unwrap()));
        assert!(matches!(&read[..], [Read::Fragment, Read::Fragment, Read::Message(_)]), "{read:?}");
    }

    #[test]
    fn a_fragment_of_an_expired_message_is_malformed() {
        let (peer, own) = SeqPacket::pair().unwrap();
        let system = actix_rt::System::new();
        system.block_on(async {
            let mut reader = reader(Duration::ZERO);
            let mut read = Vec::new();
            send_three_frames(&peer, || {
                read.push(reader.read(&own));
                reader.poll_expire(&mut Context::from_waker(Waker::noop()));
            });
            assert!(matches!(&read[..], [Ok(Read::Fragment), Err(CloseReason::Malformed(_)), _]), "{read:?}");
        });
    }
}
