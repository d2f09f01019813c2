//! Sockets that listen.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::{SocketAddrAny, SocketFlags};
use socket2::{Domain, Protocol, Type};

use crate::Accepted;

/// How many connections the kernel keeps that nobody has accepted yet.
const BACKLOG: i32 = 1024;

/// A TCP socket that listens. Non-blocking, not inherited over exec, registered with no reactor: a value to keep.
#[derive(Debug)]
pub struct ListenSocket {
    socket: socket2::Socket,
    address: SocketAddr,
}

impl ListenSocket {
    /// Binds and listens. `address` is `HOST:PORT`; with port 0 the kernel chooses one. The first address of a name that
    /// can be bound is taken.
    ///
    /// The address may be used again at once after a former owner is gone (`SO_REUSEADDR`), and what is accepted sends
    /// without delay (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// One line that names the address, the reason, and where possible what to do.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        let addresses =
            address.to_socket_addrs().map_err(|_| ListenError::Address { address: address.to_owned() })?;
        let mut result = Err(ListenError::Address { address: address.to_owned() });
        for candidate in addresses {
            result = Self::open(candidate).map_err(|source| ListenError::Bind {
                reason: reason(&source, candidate),
                address: address.to_owned(),
                source,
            });
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = socket2::Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit it, which saves a system call for each.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Self::adopt(socket)
    }

    fn adopt(socket: socket2::Socket) -> io::Result<Self> {
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { socket, address })
    }

    /// Where it listens. The port is the true one, also when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts a connection that is there.
    pub(crate) fn accept(&self) -> rustix::io::Result<Accepted> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (descriptor, peer) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        // A TCP socket has a peer with an IP address.
        let peer: Option<SocketAddr> = peer.map(SocketAddrAny::try_into).and_then(Result::ok);
        let peer = peer.ok_or(rustix::io::Errno::PROTO)?;
        let accepted = Accepted::new(TcpStream::from(descriptor), peer);
        if self.address.ip().is_unspecified() {
            return Ok(accepted);
        }
        Ok(accepted.with_local_addr(self.address))
    }
}

/// Adopts a socket that listens already, as one inherited from another process.
impl TryFrom<OwnedFd> for ListenSocket {
    type Error = io::Error;

    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        if !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the inherited socket does not listen"));
        }
        socket.set_nonblocking(true)?;
        Self::adopt(socket)
    }
}

impl From<ListenSocket> for OwnedFd {
    fn from(socket: ListenSocket) -> Self {
        socket.socket.into()
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ListenSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// It is no address, or a name that nobody knows.
    #[error("cannot listen on {address}: not a known address; write HOST:PORT, for example 127.0.0.1:8080")]
    Address {
        /// What was given.
        address: String,
    },
    /// The kernel refused it.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// What was given.
        address: String,
        /// Why not, and what to do.
        reason: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// An inherited socket was closed by a drain, so there is none to accept on.
    #[error("cannot listen on {address} again: the inherited socket is closed; start this process anew")]
    Closed {
        /// Where it listened.
        address: SocketAddr,
    },
}

fn reason(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "address in use; stop what listens there or choose another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; choose one of its own".to_owned()
        }
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "permission denied; ports below 1024 need privileges".to_owned()
        }
        _ => error.to_string(),
    }
}
