//! Where to listen.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::ListenSocket;

/// What a unix socket's name begins with, where a name may also be one of TCP (nginx: `listen unix:PATH`).
const UNIX: &str = "unix:";

/// Where to listen: a TCP address, a unix socket, or a socket that listens already.
///
/// A text is `HOST:PORT`, or `unix:PATH`.
#[derive(Debug)]
pub struct Endpoint(pub(crate) Origin);

/// Where a listening socket comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// It is bound, and can be bound again.
    Bound(Name),
    /// It was handed down, and cannot be had again.
    Inherited(ListenSocket),
}

/// To what a socket is bound.
#[derive(Debug)]
pub(crate) enum Name {
    /// `HOST:PORT`.
    Tcp(String),
    Unix {
        path: PathBuf,
        mode: Option<u32>,
    },
}

impl Endpoint {
    /// A TCP address, `HOST:PORT`; with port 0 the kernel chooses one.
    pub fn tcp(address: impl fmt::Display) -> Self {
        Self(Origin::Bound(Name::Tcp(address.to_string())))
    }

    /// A unix socket with this path.
    ///
    /// What a dead process has left there is replaced; a socket that somebody listens on, or a file of another kind, is
    /// not. It appears under its name only once it listens, and goes when it is closed.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Bound(Name::Unix { path: path.into(), mode: None }))
    }

    /// Who may connect to a unix socket: the permissions of its file, such as `0o660`. The default is what the umask
    /// leaves.
    #[must_use]
    pub fn mode(mut self, permissions: u32) -> Self {
        if let Origin::Bound(Name::Unix { mode, .. }) = &mut self.0 {
            *mode = Some(permissions);
        }
        self
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        match text.strip_prefix(UNIX) {
            Some(path) => Self::Unix { path: path.into(), mode: None },
            None => Self::Tcp(text.to_owned()),
        }
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
        let Endpoint(Origin::Bound(Name::Tcp(address))) = "localhost:80".into() else { panic!("TCP") };
        assert_eq!(address, "localhost:80");
        let unix = Endpoint::from("unix:/run/a.sock").mode(0o600);
        let Endpoint(Origin::Bound(Name::Unix { path, mode })) = unix else { panic!("unix") };
        assert_eq!((path, mode), (PathBuf::from("/run/a.sock"), Some(0o600)));
    }
}
