//! SEQPACKET sockets: datagrams between processes, with descriptors and the sender's pid.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};

/// Maximum number of descriptors in one message, checked by sender and receiver. The kernel's limit (`SCM_MAX_FD`) is 253.
pub const MAX_FDS: usize = 16;

/// One end of a connected, non-blocking `SOCK_SEQPACKET` unix socket.
///
/// A message arrives completely or not at all, with its own descriptors and with the pid of its sender from the kernel
/// (`SCM_CREDENTIALS`). When all copies of the other end are closed, [`recv`](Self::recv) returns end of file.
#[derive(Debug)]
pub struct SeqPacket(OwnedFd);

/// One message, or end of file, returned by [`SeqPacket::recv`].
#[derive(Debug)]
pub struct Received {
    /// Length of the message in the buffer, in bytes.
    pub len: usize,
    /// Its descriptors, in the order of the sender. `FD_CLOEXEC` is set on each.
    pub fds: Vec<OwnedFd>,
    /// Pid of the sender. `None` at end of file.
    pub sender: Option<Pid>,
    /// Whether descriptors of the message were lost, because this process has reached its limit on open files. `fds` is
    /// empty then; those that did arrive are closed.
    pub lost_descriptors: bool,
}

impl Received {
    /// Whether this is end of file. An empty message differs from it by its sender.
    pub fn is_eof(&self) -> bool {
        self.len == 0 && self.fds.is_empty() && self.sender.is_none()
    }

    /// Turns lost descriptors into an error.
    ///
    /// # Errors
    ///
    /// When [`lost_descriptors`](Self::lost_descriptors) is set.
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
    /// A connected pair. Both ends have `O_NONBLOCK`, `FD_CLOEXEC` and `SO_PASSCRED`.
    ///
    /// # Errors
    ///
    /// `EMFILE` when this process has no free descriptors.
    #[doc(alias = "socketpair")]
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        sockopt::set_socket_passcred(&one, true)?;
        sockopt::set_socket_passcred(&other, true)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends the concatenated `parts` as one message, with duplicates of `fds`. Does not block. Retries on `EINTR`.
    ///
    /// # Errors
    ///
    /// Nothing is sent then. [`classify`](crate::classify) tells which errors are passing.
    ///
    /// * `WouldBlock`: the socket's buffer is full. It holds about 280 small messages.
    /// * `BrokenPipe`: the other end is closed.
    /// * `InvalidInput`: more than [`MAX_FDS`] descriptors.
    /// * `EMSGSIZE`: the message is larger than the socket's buffer.
    /// * `ETOOMANYREFS`: more descriptors of this user are in flight than its limit on open files.
    #[doc(alias = "sendmsg")]
    pub fn send(&self, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if fds.len() > MAX_FDS {
            let message = format!("{} descriptors in one message; send at most {MAX_FDS}", fds.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("the control buffer does not hold the descriptors of the message"));
        }
        loop {
            match rustix::net::sendmsg(&self.0, parts, &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                // The kernel takes a message completely, so the returned length carries no information.
                result => return result.map(|_| ()).map_err(Into::into),
            }
        }
    }

    /// Receives one message into `buf`, or end of file ([`Received::is_eof`]). Does not block. Retries on `EINTR`.
    ///
    /// # Errors
    ///
    /// * `WouldBlock`: there is no message.
    /// * `InvalidData`: the message is longer than `buf`, or has more than [`MAX_FDS`] descriptors. It is lost, and its
    ///   descriptors are closed.
    ///
    /// Descriptors lost at the limit on open files are no error here, see [`Received::lost_descriptors`].
    #[doc(alias = "recvmsg")]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        let capacity = buf.len();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
        let mut reset = false;
        let message = loop {
            match rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(buf)], &mut control, flags) {
                Err(Errno::INTR) => {}
                // The other end was closed before it had read all messages. The kernel reports this once, before the
                // messages that the other end had sent. Reading on returns them.
                Err(Errno::CONNRESET) if !reset => reset = true,
                result => break result?,
            }
        };
        if message.flags.contains(ReturnFlags::TRUNC) || message.bytes > capacity {
            return Err(invalid(format!(
                "a message of {} bytes; at most {capacity} may come in one",
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
            // The kernel passes as many descriptors as fit into the control buffer and into the table of open files.
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

    /// Duplicates the descriptor of this end. The other end is at end of file only when all duplicates are closed.
    ///
    /// # Errors
    ///
    /// `EMFILE` when this process has no free descriptor.
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
