//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, Type};

use super::bind_address::BindAddress;
use super::unix::{self, BindError, SocketFile};
use crate::address::Address;
use crate::socket::accepted::Accepted;

/// Length of the kernel's queue of connections that were not accepted yet.
const BACKLOG: i32 = 1024;

/// A listening socket. Non-blocking, close-on-exec, registered with no reactor.
#[derive(Debug)]
pub struct ListenSocket {
    socket: socket2::Socket,
    address: Address,
    /// The file of a unix socket, removed with it.
    file: Option<SocketFile>,
}

impl ListenSocket {
    /// Binds and listens: on TCP at `HOST:PORT`, where port 0 lets the kernel choose and the first address of a
    /// name that can be bound is used; on a unix socket at `unix:PATH`, as
    /// [`Endpoint::unix`](crate::Endpoint::unix) describes.
    ///
    /// TCP sockets have `SO_REUSEADDR`, so an address can be bound right after its last owner has exited, and
    /// `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// One line with the address, the reason, and where possible the remedy.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        Self::bind_to(&address.into(), None)
    }

    /// As [`bind`](Self::bind); a port that was `chosen` before stays the same.
    pub(crate) fn bind_to(name: &BindAddress, chosen: Option<&Address>) -> Result<Self, ListenError> {
        match (name, chosen) {
            (BindAddress::Unix { path, mode }, _) => Self::unix(path, *mode),
            (BindAddress::Tcp(_), Some(chosen)) => Self::tcp(&chosen.to_string()),
            (BindAddress::Tcp(address), None) => Self::tcp(address),
        }
    }

    fn tcp(address: &str) -> Result<Self, ListenError> {
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

    fn unix(path: &Path, mode: Option<u32>) -> Result<Self, ListenError> {
        let address = Address::from(path);
        match unix::bind(path, mode, BACKLOG) {
            Ok((socket, file)) => Ok(Self { socket, address, file: Some(file) }),
            Err(error) => {
                let (reason, source) = unix_reason(error);
                Err(ListenError::Bind { address: address.to_string(), reason, source })
            }
        }
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
        let address = Address::from_kernel(rustix::net::getsockname(&socket)?);
        let address = address.ok_or(io::ErrorKind::Unsupported)?;
        Ok(Self { socket, address, file: None })
    }

    /// Sets the text by which it was [bound](Self::bind), for a unix socket that another process has bound: the
    /// kernel knows only the
    /// temporary name. Has no effect on a TCP socket.
    #[must_use]
    pub fn with_unix_path(mut self, address: &str) -> Self {
        if let (Address::Unix(_), BindAddress::Unix { path, .. }) = (&self.address, address.into()) {
            self.address = path.as_path().into();
        }
        self
    }

    /// Takes the file of a unix socket, for a caller that passes the socket to other processes; `None` if it
    /// was not bound here.
    /// was not bound here to a path.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Its address, with the true port also when 0 was requested.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Accepts a waiting connection.
    pub(crate) fn accept(&self) -> rustix::io::Result<Accepted> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (descriptor, peer) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        let peer = peer.and_then(Address::from_kernel);
        let Address::Ip(address) = self.address else {
            // The kernel reports the temporary name under which the socket was bound.
            let accepted = Accepted::new(UnixStream::from(descriptor), peer.unwrap_or_else(Address::unnamed));
            return Ok(accepted.with_local_addr(self.address.clone()));
        };
        // The peer of a TCP socket has an IP address.
        let accepted = Accepted::new(TcpStream::from(descriptor), peer.ok_or(rustix::io::Errno::PROTO)?);
        if address.ip().is_unspecified() {
            return Ok(accepted);
        }
        Ok(accepted.with_local_addr(address))
    }
}

/// Adopts a socket that is listening already, such as an inherited one.
impl TryFrom<OwnedFd> for ListenSocket {
    type Error = io::Error;

    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        // A SEQPACKET socket can listen too.
        if !socket.is_listener()? || socket.r#type()? != Type::STREAM {
            let line = "the inherited socket does not listen, or not for streams";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, line));
        }
        socket.set_nonblocking(true)?;
        Self::adopt(socket)
    }
}

impl From<ListenSocket> for OwnedFd {
    fn from(socket: ListenSocket) -> Self {
        // The file belongs to the descriptor, unless it was taken before.
        if let Some(file) = socket.file {
            file.keep();
        }
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

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Not an address, or a name that cannot be resolved.
    #[error("cannot listen on {address}: not a known address; write HOST:PORT, for example 127.0.0.1:8080")]
    Address {
        /// The address as given.
        address: String,
    },
    /// The kernel refused it.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// The address as given.
        address: String,
        /// The reason, and the remedy.
        reason: String,
        /// The error.
        source: io::Error,
    },
    /// An inherited socket was closed by a drain and cannot be bound again.
    #[error("cannot listen on {address} again: the inherited socket is closed; start this process anew")]
    Closed {
        /// Its address.
        address: Address,
    },
}

fn unix_reason(error: BindError) -> (String, io::Error) {
    match error {
        BindError::InUse => (
            "somebody listens there; stop what does or choose another path".to_owned(),
            io::ErrorKind::AddrInUse.into(),
        ),
        BindError::NotASocket => (
            "there is a file of another kind; remove it or choose another path".to_owned(),
            io::ErrorKind::AlreadyExists.into(),
        ),
        BindError::Io(error) => {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "there is no such folder; make it first".to_owned(),
                io::ErrorKind::InvalidInput => {
                    "a path of a unix socket has at most 107 bytes, its folder at most 95; choose a shorter one".to_owned()
                }
                _ => error.to_string(),
            };
            (reason, error)
        }
    }
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
