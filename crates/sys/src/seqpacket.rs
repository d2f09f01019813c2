//! Whole frames between processes, with descriptors and the sender's pid.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};

/// The most descriptors one message may carry. The kernel's own limit is 253; a message with more than ours is
/// refused on both sides.
pub const MAX_FDS: usize = 16;

/// One end of a connection that keeps the bounds of messages and never blocks.
///
/// Each message arrives whole or not at all, with its own descriptors, and with the pid of its sender as the
/// kernel knows it. When the other end is closed everywhere, [`recv`](Self::recv) says end of file.
#[derive(Debug)]
pub struct SeqPacket(OwnedFd);

/// What [`SeqPacket::recv`] took from the socket.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer are the message.
    pub len: usize,
    /// The descriptors that came with it, in the order they were sent; all close on exec.
    pub fds: Vec<OwnedFd>,
    /// Who sent it.
    pub sender: Option<Pid>,
    /// Whether it came with descriptors that are lost, because this process has no free ones. `fds` is empty then:
    /// what did arrive of them is closed.
    pub lost_descriptors: bool,
}

impl Received {
    /// Whether the other end is closed. An empty message is none: the kernel names its sender.
    pub fn is_eof(&self) -> bool {
        self.len == 0 && self.fds.is_empty() && self.sender.is_none()
    }

    /// For who has no use for a message without its descriptors.
    ///
    /// # Errors
    ///
    /// When some of them were lost.
    pub fn complete(self) -> io::Result<Self> {
        if self.lost_descriptors {
            return Err(io::Error::other(
                "the descriptors of a message were lost: no free descriptors; look at the limit on open files",
            ));
        }
        Ok(self)
    }
}

impl SeqPacket {
    /// Two connected ends. Both are non-blocking, close on exec and tell who sent what.
    ///
    /// # Errors
    ///
    /// `EMFILE` when there are no descriptors left.
    #[doc(alias = "socketpair")]
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        sockopt::set_socket_passcred(&one, true)?;
        sockopt::set_socket_passcred(&other, true)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends the concatenated `parts` as one message, with duplicates of `fds`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket's queue is full (a few hundred small messages), `BrokenPipe` when the other
    /// end is closed, `InvalidInput` for more than [`MAX_FDS`] descriptors, `EMSGSIZE` for a message larger than
    /// the socket's buffer, `ETOOMANYREFS` when more descriptors are in flight than this user may have open.
    /// In each case nothing was sent.
    #[doc(alias = "sendmsg")]
    pub fn send(&self, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if fds.len() > MAX_FDS {
            let message = format!("{} descriptors in one message; send at most {MAX_FDS}", fds.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("no room for the descriptors of a message"));
        }
        loop {
            match rustix::net::sendmsg(&self.0, parts, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                // A message is taken whole, so the length says nothing.
                result => return result.map(|_| ()).map_err(Into::into),
            }
        }
    }

    /// Takes one message; see [`Received::is_eof`] for the end.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when there is none. `InvalidData` when the message did not fit into `buf`, or came with more than
    /// [`MAX_FDS`] descriptors: the message is gone then, and its descriptors are closed. That this process has no
    /// free descriptors is no error here, see [`Received::lost_descriptors`].
    #[doc(alias = "recvmsg")]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        let room = buf.len();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
        let mut reset = false;
        let message = loop {
            match rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(buf)], &mut control, flags) {
                Err(Errno::INTR) => {}
                // The other end was closed with unread messages of ours in it. The kernel says so once, and before
                // it hands out what that end had still sent.
                Err(Errno::CONNRESET) if !reset => reset = true,
                result => break result?,
            }
        };
        if message.flags.contains(ReturnFlags::TRUNC) || message.bytes > room {
            return Err(invalid(format!(
                "a message of {} bytes; at most {room} may come in one",
                message.bytes
            )));
        }
        let mut received =
            Received { len: message.bytes, fds: Vec::new(), sender: None, lost_descriptors: false };
        for control in control.drain() {
            match control {
                RecvAncillaryMessage::ScmRights(fds) => received.fds.extend(fds),
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    received.sender = Some(Pid::from_raw(sender.pid.as_raw_nonzero().get()));
                }
                _ => {}
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            // The kernel hands out as many as there is room for, here and in the table of open files.
            if received.fds.len() >= MAX_FDS {
                return Err(invalid(format!(
                    "descriptors of a message were lost; at most {MAX_FDS} may come in one"
                )));
            }
            received.fds.clear();
            received.lost_descriptors = true;
        }
        Ok(received)
    }

    /// Another descriptor for the same end.
    ///
    /// # Errors
    ///
    /// `EMFILE` when there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl AsFd for SeqPacket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for SeqPacket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for SeqPacket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<SeqPacket> for OwnedFd {
    fn from(socket: SeqPacket) -> Self {
        socket.0
    }
}
