//! The endpoint of a listener: an address to bind, or a listening socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::bind_address::BindAddress;
use super::listen_socket::ListenSocket;

/// An endpoint of a listener: a TCP address, the path of a unix socket, or a socket that listens already.
///
/// From a text it is `HOST:PORT` or `unix:PATH`.
#[derive(Debug)]
pub struct Endpoint(pub(crate) Origin);

/// The source of a listening socket.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is bound by the listener, and again after it was closed.
    Bound(BindAddress),
    /// It was bound by another process or caller. After it is closed it cannot be bound again.
    Inherited(ListenSocket),
}

impl Endpoint {
    /// A TCP address, `HOST:PORT`. With port 0 the kernel chooses a port.
    pub fn tcp(address: impl fmt::Display) -> Self {
        Self(Origin::Bound(BindAddress::Tcp(address.to_string())))
    }

    /// A unix socket with this path.
    ///
    /// A socket file without a listener, as a process leaves after `SIGKILL`, is replaced. A socket with a listener or a
    /// file of another kind is not replaced: the start fails. The file exists from the first moment at which the socket
    /// listens until it is closed.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Bound(BindAddress::Unix { path: path.into(), mode: None }))
    }

    /// Sets the permissions of a unix socket's file, such as `0o660`. The default is given by the umask. Has no effect on
    /// other endpoints.
    #[must_use]
    pub fn mode(mut self, permissions: u32) -> Self {
        if let Origin::Bound(BindAddress::Unix { mode, .. }) = &mut self.0 {
            *mode = Some(permissions);
        }
        self
    }
}

impl From<&str> for Endpoint {
    fn from(text: &str) -> Self {
        Self(Origin::Bound(text.into()))
    }
}

impl From<String> for Endpoint {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::tcp(address)
    }
}

impl From<ListenSocket> for Endpoint {
    fn from(socket: ListenSocket) -> Self {
        Self(Origin::Inherited(socket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_the_prefix_unix_is_a_path_any_other_is_tcp() {
        let Endpoint(Origin::Bound(BindAddress::Tcp(address))) = "localhost:80".into() else { panic!("TCP") };
        assert_eq!(address, "localhost:80");
        let unix = Endpoint::from("unix:/run/a.sock").mode(0o600);
        let Endpoint(Origin::Bound(BindAddress::Unix { path, mode })) = unix else { panic!("unix") };
        assert_eq!((path, mode), (PathBuf::from("/run/a.sock"), Some(0o600)));
    }
}
