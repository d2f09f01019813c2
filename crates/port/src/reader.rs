//! Datagrams to messages: every one is checked before anything of it is kept.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task;
use std::time::Duration;

use impresario_sys::{Received, SeqPacket};
use impresario_wire::{Decoder, Frame, MAX_FRAME, PortPolicy};
use slog::{Logger, warn};
use std::os::fd::OwnedFd;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{CloseReason, Incoming};

pub(crate) struct Reader {
    link: PortPolicy,
    decoder: Decoder<OwnedFd>,
    buffer: Box<[u8]>,
    /// The decoder's zero.
    start: Instant,
    /// Set while a message is unfinished.
    timer: Option<Pin<Box<Sleep>>>,
    log: Logger,
}

/// What one look at the socket gave.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing is there.
    Blocked,
    /// A part of a message, of which the rest is to come.
    Part,
    /// A message.
    Whole(Incoming),
}

impl Reader {
    pub(crate) fn new(link: PortPolicy, partial_timeout: Duration, log: Logger) -> Self {
        Reader {
            link,
            decoder: Decoder::new(partial_timeout),
            buffer: vec![0; MAX_FRAME].into_boxed_slice(),
            start: Instant::now(),
            timer: None,
            log,
        }
    }

    /// Takes one datagram from the socket.
    pub(crate) fn read(&mut self, socket: &SeqPacket) -> Result<Read, CloseReason> {
        let received = match socket.recv(&mut self.buffer).and_then(Received::complete) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Read::Blocked),
            // Said once more than sys passes over: there is nothing left to read behind it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(CloseReason::Eof),
            Err(error) => return Err(error.into()),
        };
        if received.is_eof() {
            return Err(CloseReason::Eof);
        }
        let datagram = self.buffer.get(..received.len).unwrap_or_default();
        let sender = received.sender.and_then(|pid| u32::try_from(pid.as_raw()).ok());
        let frame = Frame::parse(datagram)?;
        self.link.check(sender, frame.source(), frame.kind())?;
        let whole = self.decoder.handle(self.start.elapsed(), datagram, received.fds)?;
        Ok(whole.map_or(Read::Part, |whole| {
            // The source is the sender, by the link's check.
            let (stream, message, fds) = (whole.stream, whole.message, whole.descriptors);
            Read::Whole(Incoming { stream, message, fds, sender: whole.source })
        }))
    }

    /// Forgets messages that did not end in time, and sees to it that the task is woken for the next.
    ///
    /// The port stays open: the sender may have died halfway and have a successor at the same end.
    pub(crate) fn poll_expire(&mut self, cx: &mut task::Context<'_>) {
        while let Some(expired) = self.decoder.expire(self.start.elapsed()) {
            warn!(self.log, "message did not end in time, forgotten";
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
    use crate::CloseReason;

    fn link() -> PortPolicy {
        PortPolicy::new(Role::Main, Role::Prototype).unwrap()
    }

    fn reader(partial_timeout: Duration) -> Reader {
        Reader::new(link(), partial_timeout, Logger::root(Discard, o!()))
    }

    /// Sends all frames of one `failed` message that has three.
    fn frames(peer: &SeqPacket, mut after_each: impl FnMut()) {
        let message = Message::Failed { reason: "x".repeat(2 * MAX_BODY) };
        let mut frames = Encoder::new(std::process::id()).encode(StreamId::new(0, 1), &message).unwrap();
        while let Some(frame) = frames.current() {
            peer.send(&frame.parts(&frame.header()), &[]).unwrap();
            after_each();
            frames.advance();
        }
    }

    #[test]
    fn fragments_are_one_message() {
        let (peer, own) = SeqPacket::pair().unwrap();
        let mut reader = reader(PARTIAL_TIMEOUT);
        let mut read = Vec::new();
        assert!(matches!(reader.read(&own), Ok(Read::Blocked)));
        frames(&peer, || read.push(reader.read(&own).unwrap()));
        assert!(matches!(&read[..], [Read::Part, Read::Part, Read::Whole(_)]), "{read:?}");
    }

    #[test]
    fn an_unfinished_message_is_forgotten_and_its_rest_is_an_error() {
        let (peer, own) = SeqPacket::pair().unwrap();
        let system = actix_rt::System::new();
        system.block_on(async {
            let mut reader = reader(Duration::ZERO);
            let mut read = Vec::new();
            frames(&peer, || {
                read.push(reader.read(&own));
                reader.poll_expire(&mut Context::from_waker(Waker::noop()));
            });
            assert!(matches!(&read[..], [Ok(Read::Part), Err(CloseReason::Malformed(_)), _]), "{read:?}");
        });
    }
}
