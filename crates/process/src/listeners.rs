//! Listening sockets: bound once by main, kept there, handed down.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{Backlog, listen};

/// How many connections the kernel keeps for us until they are accepted.
pub const BACKLOG: i32 = 1024;

/// A listening socket with the name under which it is handed down.
#[derive(Debug)]
pub struct Listener {
    /// What main calls it.
    pub name: String,
    /// The socket, non-blocking.
    pub fd: OwnedFd,
}

/// Why an address cannot be listened on, in one line that an operator can act on.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        write!(f, "cannot listen on {address}: ")?;
        match source.kind() {
            ErrorKind::AddrInUse => {
                f.write_str("address in use; stop what listens there or take another port")
            }
            ErrorKind::PermissionDenied => {
                f.write_str("permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE")
            }
            ErrorKind::AddrNotAvailable => f.write_str("not an address of this machine"),
            _ => source.fmt(f),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Listens on a TCP address: `SO_REUSEADDR`, non-blocking, with room for [`BACKLOG`] connections.
///
/// # Errors
///
/// [`BindError`], which names the address and the reason.
pub fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bind = || -> io::Result<TcpListener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // std asks for 128; a second listen only sets the new length.
        listen(&listener, Backlog::new(BACKLOG)?)?;
        Ok(listener)
    };
    bind().map_err(|source| BindError { address, source })
}

/// The listening sockets of one process. Dropping them is how it stops taking connections.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Vec<Listener>);

impl Listeners {
    pub(crate) fn insert(&mut self, name: String, fd: OwnedFd) {
        self.0.push(Listener { name, fd });
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|listener| listener.name == name)
    }

    /// Those of these names, out of the table: for a child, whose table this is a copy of.
    pub(crate) fn take(&mut self, names: &[String]) -> Listeners {
        Listeners(self.0.extract_if(.., |listener| names.contains(&listener.name)).collect())
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|listener| listener.fd.as_fd())
    }

    pub(crate) fn into_vec(self) -> Vec<Listener> {
        self.0
    }

    /// Closes all of them in this process.
    pub(crate) fn close(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(address: &str) -> String {
        bind_tcp(address.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_address_and_the_reason() {
        let taken = bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap();
        // The listener is gone by now; one that lives is in the way.
        let listener = TcpListener::bind(taken).unwrap();
        let text = error(&taken.to_string());
        assert!(text.starts_with(&format!("cannot listen on {taken}: address in use")), "{text}");
        drop(listener);
        let text = error("192.0.2.1:7");
        assert!(text.ends_with("not an address of this machine") || text.contains("permission"), "{text}");
    }

    #[test]
    fn a_child_takes_what_is_listed() {
        let mut listeners = Listeners::default();
        for name in ["a", "b", "c"] {
            listeners.insert(name.to_owned(), bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap().into());
        }
        let taken = listeners.take(&["c".to_owned(), "a".to_owned()]);
        assert!(taken.has("a") && taken.has("c") && !taken.has("b"));
        assert!(listeners.has("b") && !listeners.has("a"));
        assert_eq!(taken.fds().count(), 2);
    }
}
