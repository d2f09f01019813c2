//! The address that a listening socket is bound to.

use std::path::PathBuf;

/// Prefix of a unix socket's path, where an endpoint may also be TCP (nginx: `listen unix:PATH`).
const UNIX: &str = "unix:";

/// The address that a socket is bound to.
#[derive(Debug)]
pub(crate) enum BindAddress {
    /// `HOST:PORT`.
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
