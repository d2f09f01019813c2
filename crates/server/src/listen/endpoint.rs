//! Where to listen.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::bind_address::BindAddress;
use super::listen_socket::ListenSocket;

/// Where to listen: a TCP address, a unix socket, or a socket that listens already.
///
/// A text is `HOST:PORT`, or `unix:PATH`.
#[derive(Debug)]
pub struct Endpoint(pub(crate) Origin);

/// Where a listening socket comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is bound, and can be bound again.
    Bound(BindAddress),
    /// It was handed down, and cannot be had again.
    Inherited(ListenSocket),
}

impl Endpoint {
    /// A TCP address, `HOST:PORT`; with port 0 the kernel chooses one.
    pub fn tcp(address: impl fmt::Display) -> Self {
        Self(Origin::Bound(BindAddress::Tcp(address.to_string())))
    }

    /// A unix socket with this path.
    ///
    /// What a dead process has left there is replaced; a socket that somebody listens on, or a file of another kind, is
    /// not. It appears under its name only once it listens, and goes when it is closed.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Bound(BindAddress::Unix { path: path.into(), mode: None }))
    }

    /// Who may connect to a unix socket: the permissions of its file, such as `0o660`. The default is what the umask
    /// leaves.
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
