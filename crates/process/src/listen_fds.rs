//! Listening sockets that main binds and its children inherit.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A listening socket and the name under which children inherit it.
#[derive(Debug)]
pub struct ListenFd {
    /// The name given to `Main::listener`.
    pub name: String,
    /// The socket, non-blocking.
    pub fd: OwnedFd,
}

/// The listening sockets of one process. Drop closes them in this process only.
#[derive(Debug, Default)]
pub(crate) struct ListenFds(Vec<ListenFd>);

impl ListenFds {
    pub(crate) fn insert(&mut self, name: String, fd: OwnedFd) {
        self.0.push(ListenFd { name, fd });
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|listener| listener.name == name)
    }

    /// Keeps the sockets with these names and closes the others.
    pub(crate) fn retain(&mut self, names: &[String]) {
        self.0.retain(|listener| names.contains(&listener.name));
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|listener| listener.fd.as_fd())
    }

    pub(crate) fn into_vec(self) -> Vec<ListenFd> {
        self.0
    }

    /// Closes all sockets in this process.
    pub(crate) fn close(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn socket() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0").unwrap().into()
    }

    #[test]
    fn retain_keeps_the_named_sockets() {
        let mut listen_fds = ListenFds::default();
        for name in ["a", "b", "c"] {
            listen_fds.insert(name.to_owned(), socket());
        }
        listen_fds.retain(&["c".to_owned(), "a".to_owned()]);
        assert!(listen_fds.has("a") && listen_fds.has("c") && !listen_fds.has("b"));
        assert_eq!(listen_fds.fds().count(), 2);
    }
}
