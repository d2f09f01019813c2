//! One end of a port in the loop: never blocks, never grows without bound, believes only the kernel.

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

use crate::roles::worker_table::MAX_WORKERS;

/// The most messages that wait to be sent on one port. A new router is told of all workers at once, and while it
/// reads, all of them may be replaced.
pub(crate) const MAX_OUTBOUND: usize = 2 * MAX_WORKERS;

/// Why a port is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("its port fails: {0}")]
    Io(#[from] io::Error),
    #[error("it sent a bad frame: {0}")]
    Decode(#[from] DecodeError),
    #[error("it broke the rules of its port: {0}")]
    Link(#[from] PortPolicyError),
    #[error("a message to it cannot be sent: {0}")]
    Encode(#[from] EncodeError),
    #[error("it does not read its port: {MAX_OUTBOUND} messages wait")]
    Overflow,
    #[error("it began a message and did not end it within {PARTIAL_TIMEOUT:?}")]
    Expired,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Message, Vec<OwnedFd>),
    /// A part of a message.
    Fragment,
    /// Nothing more for now.
    Empty,
    /// The other end is closed.
    End,
}

#[derive(Debug)]
pub(crate) struct Port {
    socket: SeqPacket,
    link: PortPolicy,
    encoder: Encoder,
    decoder: Decoder<OwnedFd>,
    queue: VecDeque<Outgoing>,
    /// Whether the loop was asked to come back when there is room.
    waits_for_room: bool,
}

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
            waits_for_room: false,
        }
    }

    /// Sends, or queues what the socket does not take now.
    pub(crate) fn send(&mut self, message: &Message, fds: Vec<Rc<dyn AsFd>>) -> Result<(), PortError> {
        self.link.check_outgoing(message.kind())?;
        if self.queue.len() >= MAX_OUTBOUND {
            return Err(PortError::Overflow);
        }
        let frames = self.encoder.encode(StreamId::NONE, message)?;
        self.queue.push_back(Outgoing { frames, fds });
        self.flush()
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<(), PortError> {
        while let Some(Outgoing { frames, fds }) = self.queue.front_mut() {
            while let Some(frame) = frames.current() {
                let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(|fd| fd.as_fd()).collect();
                match self.socket.send(&frame.parts(&frame.header()), &borrowed) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
                // They go with the first frame only.
                fds.clear();
                frames.advance();
            }
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Whether the loop is to come back when there is room; `None` when it knows already.
    pub(crate) fn write_interest(&mut self) -> Option<bool> {
        let wants = !self.queue.is_empty();
        let before = std::mem::replace(&mut self.waits_for_room, wants);
        (before != wants).then_some(wants)
    }

    /// Takes one frame. Who sent it and whether they may is checked frame by frame, before anything is decoded.
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

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.decoder.poll_timeout().map(Time::from_start)
    }

    /// A process that is alive and does not go on with a message is broken.
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
