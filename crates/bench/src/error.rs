//! Why there is no figure.

use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;

/// What ends a run without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// No row has this name.
    #[error("there is no row {name:?}: choose from {known}")]
    Row { name: String, known: String },
    /// No server has this name.
    #[error("there is no server {0:?}")]
    Server(String),
    /// Not an address.
    #[error("{0:?} is no address: write IP:PORT")]
    Address(String),
    /// A server ended by itself.
    #[error("server {name} ended before it was ready ({status}): see what it wrote above")]
    Ended { name: &'static str, status: ExitStatus },
    /// A server does not answer.
    #[error("server {name} does not answer on {address}: {last}")]
    Silent { name: &'static str, address: SocketAddr, last: String },
    /// A server answered wrongly or not at all under load: a figure would mean nothing.
    #[error("{count} operations failed against {name}, the first one with: {first}")]
    Failed { name: &'static str, count: u64, first: String },
    /// Nothing was done in the time.
    #[error("nothing was done against {0} in the time given: raise --secs")]
    Nothing(&'static str),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}
