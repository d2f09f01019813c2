//! A listening socket: binding, adopting, and accepting one connection.

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

/// The backlog of listen(2): the most connections in the kernel's queue that are not accepted yet.
const BACKLOG: i32 = 1024;

/// A listening socket. It is non-blocking, close-on-exec, and not registered with a reactor. Its drop closes it.
#[derive(Debug)]
pub struct ListenSocket {
    socket: socket2::Socket,
    address: Address,
    /// The file of a unix socket, which is removed when the socket is closed.
    file: Option<SocketFile>,
}

impl ListenSocket {
    /// Binds and listens on `HOST:PORT` (TCP), or on `unix:PATH` as [`Endpoint::unix`](crate::Endpoint::unix) describes.
    ///
    /// With port 0 the kernel chooses a port. A host name is resolved, which blocks; the first of its addresses that can be
    /// bound is used. The backlog is 1024.
    ///
    /// A TCP socket has `SO_REUSEADDR`, so an address can be bound immediately after its former owner has exited. Accepted
    /// connections have `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// One line with the address, the reason, and where possible what to do.
    pub fn bind(address: &str) -> Result<Self, ListenError> {
        Self::bind_to(&address.into(), None)
    }

    /// Binds as [`bind`](Self::bind) does. A TCP socket is bound to `chosen` instead, the address of a former bind.
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
        // Accepted sockets inherit the option, which saves one setsockopt(2) for each connection.
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

    /// Sets the address of a unix socket that another process has [bound](Self::bind), from the text that it was bound
    /// with. The kernel knows only the temporary name of its file, before the rename. Has no effect on a TCP socket.
    #[must_use]
    pub fn with_unix_path(mut self, address: &str) -> Self {
        if let (Address::Unix(_), BindAddress::Unix { path, .. }) = (&self.address, address.into()) {
            self.address = path.as_path().into();
        }
        self
    }

    /// Takes the file of a unix socket, so that the caller decides when it is removed. To be called before the socket is
    /// passed to other processes. `None` for a socket that this process did not bind to a path.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// The address that it listens on. The port is the bound one, also when 0 was requested.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Accepts one connection from the queue.
    ///
    /// # Errors
    ///
    /// Those of accept(2): `EAGAIN` when the queue is empty.
    pub(crate) fn accept(&self) -> rustix::io::Result<Accepted> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (descriptor, peer) = rustix::net::acceptfrom_with(&self.socket, flags)?;
        let peer = peer.and_then(Address::from_kernel);
        let Address::Ip(address) = self.address else {
            // The kernel would return the temporary name of the file, before the rename.
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

/// Adopts a listening socket, for example one inherited from another process. Makes it non-blocking.
impl TryFrom<OwnedFd> for ListenSocket {
    type Error = io::Error;

    fn try_from(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        // SOCK_SEQPACKET sockets listen too.
        if !socket.is_listener()? || socket.r#type()? != Type::STREAM {
            let line = "the inherited descriptor is not a listening stream socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, line));
        }
        socket.set_nonblocking(true)?;
        Self::adopt(socket)
    }
}

impl From<ListenSocket> for OwnedFd {
    fn from(socket: ListenSocket) -> Self {
        // The file stays with the descriptor, unless it was taken before.
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

/// Why a listening socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The text is not an address, or its host name cannot be resolved.
    #[error("cannot listen on {address}: not a known address; write HOST:PORT, for example 127.0.0.1:8080")]
    Address {
        /// The requested address.
        address: String,
    },
    /// The socket cannot be bound.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// The requested address.
        address: String,
        /// The reason, and what to do.
        reason: String,
        /// The error of the kernel.
        source: io::Error,
    },
    /// An inherited socket was closed by a drain. It cannot be bound again.
    #[error("cannot listen on {address} again: the inherited socket is closed; restart this process")]
    Closed {
        /// The former address of the socket.
        address: Address,
    },
}

fn unix_reason(error: BindError) -> (String, io::Error) {
    match error {
        BindError::InUse => (
            "another process listens on it; stop that process or choose another path".to_owned(),
            io::ErrorKind::AddrInUse.into(),
        ),
        BindError::NotASocket => (
            "the file is not a socket; remove it or choose another path".to_owned(),
            io::ErrorKind::AlreadyExists.into(),
        ),
        BindError::Io(error) => {
            let reason = match error.kind() {
                io::ErrorKind::NotFound => "no such folder; create it first".to_owned(),
                io::ErrorKind::InvalidInput => {
                    "the path is too long: at most 107 bytes, and 95 for its folder; choose a shorter one"
                        .to_owned()
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
            "address in use; stop the process that listens on it or choose another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; choose an address of this machine".to_owned()
        }
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE, or choose another port"
                .to_owned()
        }
        _ => error.to_string(),
    }
}
