//! One end of a port in the loop of a parent process: non-blocking, with a bounded queue of outgoing
//! messages.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use impresario_supervision::Time;
use impresario_sys::{Received, SeqPacket};
use impresario_wire::{
    DecodeError, Decoder, EncodeError, Encoder, Frame, Frames, Message, PARTIAL_TIMEOUT, PortPolicy,
    PortPolicyError, StreamId,
};

/// The most workers of all pools of a main together. Main holds one port for each, for routers to come.
pub(crate) const MAX_WORKERS: usize = 1024;

/// The most messages that are queued on one port: twice [`MAX_WORKERS`]. A new router is sent one message per
/// worker, and the replacement of a worker is two messages.
pub(crate) const MAX_OUTBOUND: usize = 2 * MAX_WORKERS;

/// Why a port is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("its port failed: {0}")]
    Io(#[from] io::Error),
    #[error("it sent a malformed frame: {0}")]
    Decode(#[from] DecodeError),
    #[error("it violated the protocol of its port: {0}")]
    Link(#[from] PortPolicyError),
    #[error("cannot encode a message to it: {0}")]
    Encode(#[from] EncodeError),
    #[error("it does not read its port: {MAX_OUTBOUND} messages are queued")]
    Overflow,
    #[error("it began a message and did not complete it within {PARTIAL_TIMEOUT:?}")]
    Expired,
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
#[derive(Debug)]
pub(crate) struct Port {
    socket: SeqPacket,
    link: PortPolicy,
    encoder: Encoder,
    decoder: Decoder<OwnedFd>,
    /// Messages that are not sent completely; at most [`MAX_OUTBOUND`].
    queue: VecDeque<Outgoing>,
    /// Whether epoll was asked for EPOLLOUT.
    write_interest: bool,
}

/// A queued message: the frames that are left to send, and the descriptors until the first frame is sent.
struct Outgoing {
    frames: Frames,
    fds: Vec<Rc<dyn AsFd>>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("kind", &self.frames.kind()).finish_non_exhaustive()
    }
}

impl Port {
    pub(crate) fn new(socket: SeqPacket, link: PortPolicy) -> Self {
        Self {
            socket,
            link,
            encoder: Encoder::new(std::process::id()),
            decoder: Decoder::new(PARTIAL_TIMEOUT),
            queue: VecDeque::new(),
            write_interest: false,
        }
    }

    /// Queues a message and sends as much of the queue as the socket accepts. Never blocks.
    ///
    /// `fds` go with the first frame.
    pub(crate) fn send(&mut self, message: &Message, fds: Vec<Rc<dyn AsFd>>) -> Result<(), PortError> {
        self.link.check_outgoing(message.kind())?;
        if self.queue.len() >= MAX_OUTBOUND {
            return Err(PortError::Overflow);
        }
        let frames = self.encoder.encode(StreamId::NONE, message)?;
        self.queue.push_back(Outgoing { frames, fds });
        self.flush()
    }

    /// Sends queued frames until the socket would block.
    pub(crate) fn flush(&mut self) -> Result<(), PortError> {
        while let Some(Outgoing { frames, fds }) = self.queue.front_mut() {
            while let Some(frame) = frames.current() {
                let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(|fd| fd.as_fd()).collect();
                match self.socket.send(&frame.parts(&frame.header()), &borrowed) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
                // With the second frame the peer would receive them again.
                fds.clear();
                frames.advance();
            }
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Whether epoll must report the port as writable, if that has changed since the last call; else `None`.
    pub(crate) fn write_interest(&mut self) -> Option<bool> {
        let interest = !self.queue.is_empty();
        let before = std::mem::replace(&mut self.write_interest, interest);
        (before != interest).then_some(interest)
    }

    /// Receives one frame. Never blocks.
    ///
    /// Each frame is checked before its payload is decoded: its sender, as the kernel reports it, and its
    /// kind.
    pub(crate) fn recv(&mut self, now: Time, buffer: &mut [u8]) -> Result<Incoming, PortError> {
        let received = match self.socket.recv(buffer).and_then(Received::complete) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Incoming::Empty),
            result => result?,
        };
        if received.is_eof() {
            return Ok(Incoming::End);
        }
        let datagram = buffer.get(..received.len).unwrap_or_default();
        let frame = Frame::parse(datagram)?;
        let sender = received.sender.and_then(|pid| u32::try_from(pid.as_raw()).ok());
        self.link.check(sender, frame.source(), frame.kind())?;
        let whole = self.decoder.handle(now.since_start(), datagram, received.fds)?;
        Ok(whole.map_or(Incoming::Fragment, |whole| Incoming::Message(whole.message, whole.descriptors)))
    }

    /// The deadline of a partial message.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.decoder.poll_timeout().map(Time::from_start)
    }

    /// Fails if a message was begun and not completed within [`PARTIAL_TIMEOUT`].
    pub(crate) fn timeout(&mut self, now: Time) -> Result<(), PortError> {
        match self.decoder.expire(now.since_start()) {
            Some(_) => Err(PortError::Expired),
            None => Ok(()),
        }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
