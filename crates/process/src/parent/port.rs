//! One end of a port in the loop of a parent process: non-blocking, with a bounded queue of outgoing
//! messages.
//!
//! The queue and the classification of errors are shared with the driver on tokio, `crates/port`: see
//! `docs/adr/0008-one-port-two-drivers.md`.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use impresario_supervision::Time;
use impresario_sys::{ErrorClass, Received, SeqPacket, classify};
use impresario_wire::{
    DecodeError, Decoder, EncodeError, Encoder, Frame, Message, OutgoingQueue, PARTIAL_TIMEOUT, PortPolicy,
    PortPolicyError, QueueError, QueueLimits, RETRY_DELAY, StreamId,
};

use crate::frame_socket::FrameSocket;

/// The most workers of all pools of a main together. Main holds one port for each, for routers to come.
pub(crate) const MAX_WORKERS: usize = 1024;

/// The most messages that are queued on one port. A child that falls further behind is killed.
///
/// A new router is sent NEW_PORT for each worker. If each worker is replaced before the router reads, it is also
/// sent REMOVE_PORT and NEW_PORT for each. The last message is QUIT.
pub(crate) const MAX_OUTBOUND: usize = 3 * MAX_WORKERS + 1;

/// No bound in bytes: the largest message holds the name of an app, or one reason (`MAX_REASON`, 4 KiB). No low
/// marks: no caller waits for capacity, because a full queue is an error.
const QUEUE_LIMITS: QueueLimits =
    QueueLimits { high_messages: MAX_OUTBOUND, high_bytes: usize::MAX, low_messages: 0, low_bytes: 0 };

/// Why a port is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("its port failed: {0}")]
    Io(#[from] io::Error),
    #[error("it sent a malformed frame: {0}")]
    Decode(#[from] DecodeError),
    #[error("it violated the protocol of its port: {0}")]
    Policy(#[from] PortPolicyError),
    #[error("cannot encode a message to it: {0}")]
    Encode(#[from] EncodeError),
    #[error("it does not read its port: {MAX_OUTBOUND} messages are queued")]
    Overflow,
    #[error("it began a message and did not complete it within {PARTIAL_TIMEOUT:?}")]
    Expired,
}

impl From<QueueError> for PortError {
    /// The queue of a port is never closed, so it is full.
    fn from(_: QueueError) -> Self {
        Self::Overflow
    }
}

impl PortError {
    /// Whether the peer has closed its end.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Io(error) if classify(error) == ErrorClass::Closed)
    }
}

/// The result of one receive.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message, Vec<OwnedFd>),
    /// A frame of a message that is not complete yet.
    Fragment,
    /// No frame is available now.
    Empty,
    /// End of file: the peer has closed its end.
    End,
}

/// One end of a port.
pub(crate) struct Port<S = SeqPacket> {
    socket: S,
    policy: PortPolicy,
    encoder: Encoder,
    decoder: Decoder<OwnedFd>,
    /// Messages that are not sent completely.
    queue: OutgoingQueue<Rc<dyn AsFd>>,
    /// Set after [`ErrorClass::NoBuffers`]: no frame is sent before this time.
    retry_at: Option<Time>,
    /// Whether epoll was asked for EPOLLOUT.
    write_interest: bool,
}

impl<S: FrameSocket> Port<S> {
    pub(crate) fn new(socket: S, policy: PortPolicy) -> Self {
        Self {
            socket,
            policy,
            encoder: Encoder::new(std::process::id()),
            decoder: Decoder::new(PARTIAL_TIMEOUT),
            queue: OutgoingQueue::new(QUEUE_LIMITS),
            retry_at: None,
            write_interest: false,
        }
    }

    /// Queues a message and sends as much of the queue as the socket accepts. Never blocks.
    ///
    /// `fds` go with the first frame. [`PortError::Overflow`] at [`MAX_OUTBOUND`] queued messages.
    pub(crate) fn send(
        &mut self,
        now: Time,
        message: &Message,
        fds: Vec<Rc<dyn AsFd>>,
    ) -> Result<(), PortError> {
        self.policy.check_outgoing(message.kind())?;
        let slot = self.queue.reserve()?;
        slot.push(self.encoder.encode(StreamId::NONE, message)?, fds);
        self.flush(now)
    }

    /// Sends queued frames until the socket would block or the kernel lacks buffers.
    pub(crate) fn flush(&mut self, now: Time) -> Result<(), PortError> {
        if self.retry_at.is_some_and(|retry_at| retry_at > now) {
            return Ok(());
        }
        self.retry_at = None;
        while let Some((frame, fds)) = self.queue.front() {
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(|fd| fd.as_fd()).collect();
            let Err(error) = self.socket.send_frame(&frame, &fds) else {
                self.queue.advance();
                continue;
            };
            match classify(&error) {
                ErrorClass::Interrupted => {}
                ErrorClass::WouldBlock => break,
                ErrorClass::NoBuffers => {
                    self.retry_at = Some(now + RETRY_DELAY);
                    break;
                }
                ErrorClass::Closed | ErrorClass::Fatal => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether epoll must report the port as writable, if that has changed since the last call; else `None`.
    ///
    /// Not asked for before a retry: the socket is writable then, and epoll is level-triggered, so the loop would
    /// spin.
    pub(crate) fn write_interest(&mut self) -> Option<bool> {
        let interest = !self.queue.is_empty() && self.retry_at.is_none();
        let before = std::mem::replace(&mut self.write_interest, interest);
        (before != interest).then_some(interest)
    }

    /// The next deadline: of a partial message, or of a retry.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.decoder.poll_timeout().map(Time::from_start).into_iter().chain(self.retry_at).min()
    }

    /// Handles an expired deadline: repeats the failed send.
    ///
    /// Fails with [`PortError::Expired`] if a message was begun and not completed within [`PARTIAL_TIMEOUT`].
    pub(crate) fn timeout(&mut self, now: Time) -> Result<(), PortError> {
        match self.decoder.expire(now.since_start()) {
            Some(_) => Err(PortError::Expired),
            None => self.flush(now),
        }
    }
}

impl Port {
    /// Receives one frame. Never blocks.
    ///
    /// Each frame is checked before its payload is decoded: its sender, as the kernel reports it, and its
    /// kind.
    pub(crate) fn recv(&mut self, now: Time, buffer: &mut [u8]) -> Result<Incoming, PortError> {
        let received = match self.socket.recv(buffer).and_then(Received::complete) {
            Ok(received) => received,
            Err(error) => {
                return match classify(&error) {
                    ErrorClass::WouldBlock => Ok(Incoming::Empty),
                    ErrorClass::Closed => Ok(Incoming::End),
                    _ => Err(error.into()),
                };
            }
        };
        if received.is_eof() {
            return Ok(Incoming::End);
        }
        let datagram = buffer.get(..received.len).unwrap_or_default();
        let frame = Frame::parse(datagram)?;
        let sender = received.sender.and_then(|pid| u32::try_from(pid.as_raw()).ok());
        self.policy.check(sender, frame.source(), frame.kind())?;
        let decoded = self.decoder.handle(now.since_start(), datagram, received.fds)?;
        Ok(decoded
            .map_or(Incoming::Fragment, |decoded| Incoming::Message(decoded.message, decoded.descriptors)))
    }
}

impl<S> fmt::Debug for Port<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("policy", &self.policy)
            .field("queued", &self.queue.len())
            .field("retry_at", &self.retry_at)
            .finish_non_exhaustive()
    }
}

impl<S: FrameSocket> AsFd for Port<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
