//! Errors of a run and of a measurement.

use std::io;
use std::process::ExitStatus;

/// An error that ends the run without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Unknown row.
    #[error("there is no row {name:?}: choose from {known}")]
    Row { name: String, known: String },
    /// Unknown server.
    #[error("there is no server {0:?}")]
    Server(String),
    /// Invalid address.
    #[error("{0:?} is not an address: write IP:PORT")]
    Address(String),
    /// A server exited before it was ready.
    #[error("server {name} exited before it was ready ({status}); stderr:\n{stderr}")]
    Ended { name: &'static str, status: ExitStatus, stderr: String },
    /// A server is not ready within its start timeout.
    #[error("server {name} is not ready: {last}; stderr:\n{stderr}")]
    Silent { name: &'static str, last: String, stderr: String },
    /// A server responded wrongly or not at all under load.
    #[error("server {name} fails under load: {failure}; stderr:\n{stderr}")]
    Failed { name: &'static str, failure: Failure, stderr: String },
    /// Invalid hidden argument.
    #[error("{0:?} is not a work, framework or time")]
    Argument(String),
    /// A measurement of actors failed.
    #[error("{work} by {framework} has no figure ({status}); stderr:\n{stderr}")]
    Work { work: &'static str, framework: &'static str, status: ExitStatus, stderr: String },
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a measurement has no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// Operations failed.
    #[error("{count} operations failed, the first one with: {first}")]
    Operations { count: u64, first: io::Error },
    /// No operation was completed.
    #[error("no operation was completed in time; raise --secs")]
    Nothing,
    /// A task of the load generator panicked.
    #[error("a client task failed: {0}")]
    Client(#[from] tokio::task::JoinError),
}
