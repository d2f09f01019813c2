//! The address that a listening socket is bound to.

use std::path::PathBuf;

/// The prefix of a unix socket's path, which tells it from a TCP address (nginx: `listen unix:PATH`).
const UNIX: &str = "unix:";

/// The address that a socket is bound to.
#[derive(Debug)]
pub(crate) enum BindAddress {
    /// `HOST:PORT`, not resolved yet.
    Tcp(String),
    Unix {
        path: PathBuf,
        mode: Option<u32>,
    },
}

impl From<&str> for BindAddress {
    fn from(text: &str) -> Self {
        match text.strip_prefix(UNIX) {
            Some(path) => Self::Unix { path: path.into(), mode: None },
            None => Self::Tcp(text.to_owned()),
        }
    }
}
