//! The address that a listening socket is bound to.

use std::path::PathBuf;

/// What a unix socket's name begins with, where a name may also be one of TCP (nginx: `listen unix:PATH`).
const UNIX: &str = "unix:";

/// To what a socket is bound.
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
