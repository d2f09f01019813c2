//! Listening sockets: bound once by main, kept there, handed down.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A listening socket with the name under which it is handed down.
#[derive(Debug)]
pub struct ListenFd {
    /// What main calls it.
    pub name: String,
    /// The socket, non-blocking.
    pub fd: OwnedFd,
}

/// The listening sockets of one process. Dropping them is how it stops taking connections.
#[derive(Debug, Default)]
pub(crate) struct ListenFds(Vec<ListenFd>);

impl ListenFds {
    pub(crate) fn insert(&mut self, name: String, fd: OwnedFd) {
        self.0.push(ListenFd { name, fd });
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|listener| listener.name == name)
    }

    /// Those of these names, out of the table: for a child, whose table this is a copy of.
    pub(crate) fn take(&mut self, names: &[String]) -> ListenFds {
        ListenFds(self.0.extract_if(.., |listener| names.contains(&listener.name)).collect())
    }

    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|listener| listener.fd.as_fd())
    }

    pub(crate) fn into_vec(self) -> Vec<ListenFd> {
        self.0
    }

    /// Closes all of them in this process.
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
    fn a_child_takes_what_is_listed() {
        let mut listeners = ListenFds::default();
        for name in ["a", "b", "c"] {
            listeners.insert(name.to_owned(), socket());
        }
        let taken = listeners.take(&["c".to_owned(), "a".to_owned()]);
        assert!(taken.has("a") && taken.has("c") && !taken.has("b"));
        assert!(listeners.has("b") && !listeners.has("a"));
        assert_eq!(taken.fds().count(), 2);
    }
}
