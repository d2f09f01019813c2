//! Endpoints of a listener.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::bind_address::BindAddress;
use super::listen_socket::ListenSocket;

/// An address to listen on: a TCP address, a unix socket, or a socket that is listening already.
///
/// As text: `HOST:PORT`, or `unix:PATH`.
#[derive(Debug)]
pub struct Endpoint(pub(crate) Origin);

/// The source of a listening socket.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is bound, and can be bound again.
    Bound(BindAddress),
    /// It was inherited and cannot be bound again.
    Inherited(ListenSocket),
}

impl Endpoint {
    /// A TCP address, `HOST:PORT`; with port 0 the kernel chooses one.
    pub fn tcp(address: impl fmt::Display) -> Self {
        Self(Origin::Bound(BindAddress::Tcp(address.to_string())))
    }

    /// A unix socket with this path.
    ///
    /// A socket file of a dead process is replaced. A socket with a listener, or a file of another kind, is an
    /// error. The file appears under its name when the socket listens, and is removed when it is closed.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Bound(BindAddress::Unix { path: path.into(), mode: None }))
    }

    /// The permissions of a unix socket's file, such as `0o660`. Default: by the umask.
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
    fn a_text_says_which_kind_it_is() {
        let Endpoint(Origin::Bound(BindAddress::Tcp(address))) = "localhost:80".into() else { panic!("TCP") };
        assert_eq!(address, "localhost:80");
        let unix = Endpoint::from("unix:/run/a.sock").mode(0o600);
        let Endpoint(Origin::Bound(BindAddress::Unix { path, mode })) = unix else { panic!("unix") };
        assert_eq!((path, mode), (PathBuf::from("/run/a.sock"), Some(0o600)));
    }
}
