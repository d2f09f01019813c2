//! The address of a socket: IP or unix.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// The address of a listening socket or of one end of a connection: an IP address with port, or the name of a unix
/// socket. A clone allocates nothing.
///
/// The address of a peer may be the one from a PROXY header instead of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and port.
    Ip(SocketAddr),
    /// The name of a unix socket as bytes: a path, or `@` and an abstract name. Empty for a socket without a name, as the
    /// sockets of clients usually are.
    Unix(Arc<[u8]>),
}

impl Address {
    /// A unix socket without a name.
    pub fn unnamed() -> Self {
        Self::Unix(Arc::default())
    }

    /// A unix socket with an abstract name.
    pub(crate) fn abstract_name(name: &[u8]) -> Self {
        Self::Unix([b"@", name].concat().into())
    }

    /// The IP address and port; `None` for a unix socket.
    pub fn as_ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The address that the kernel returned; `None` for another address family.
    pub(crate) fn from_kernel(address: SocketAddrAny) -> Option<Self> {
        if let Ok(unix) = SocketAddrUnix::try_from(address.clone()) {
            return Some(match (unix.path_bytes(), unix.abstract_name()) {
                (Some(path), _) => Self::Unix(path.into()),
                (None, Some(name)) if !name.is_empty() => Self::abstract_name(name),
                _ => Self::unnamed(),
            });
        }
        SocketAddr::try_from(address).ok().map(Self::Ip)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// The address of a unix socket with this path.
impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.as_os_str().as_bytes().into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(name) if name.is_empty() => f.write_str("unix:unnamed"),
            Self::Unix(name) => write!(f, "unix:{}", OsStr::from_bytes(name).display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_display_as_ip_port_or_unix_name() {
        let ip = Address::from(SocketAddr::from(([127, 0, 0, 1], 80)));
        assert_eq!(ip.to_string(), "127.0.0.1:80");
        assert_eq!(Address::unnamed().to_string(), "unix:unnamed");
        let kernel = |unix: SocketAddrUnix| Address::from_kernel(unix.into()).expect("known").to_string();
        assert_eq!(kernel(SocketAddrUnix::new("/run/a.sock").expect("short")), "unix:/run/a.sock");
        assert_eq!(kernel(SocketAddrUnix::new_abstract_name(b"a").expect("short")), "unix:@a");
        assert_eq!(kernel(SocketAddrUnix::new_unnamed()), "unix:unnamed");
        assert_eq!((ip.as_ip().map(|ip| ip.port()), Address::unnamed().as_ip()), (Some(80), None));
    }
}
