//! Why there is no figure.

use std::io;
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
    #[error("server {name} ended before it was ready ({status}); it said:\n{stderr}")]
    Ended { name: &'static str, status: ExitStatus, stderr: String },
    /// A server does not answer.
    #[error("server {name} does not answer: {last}; it said:\n{stderr}")]
    Silent { name: &'static str, last: String, stderr: String },
    /// A server answered wrongly or not at all under load: a figure would mean nothing.
    #[error("server {name} fails under load: {failure}; it said:\n{stderr}")]
    Failed { name: &'static str, failure: Failure, stderr: String },
    /// A hidden argument that means nothing.
    #[error("{0:?} is no work, no framework, or no time")]
    Argument(String),
    /// Actors did not do their work.
    #[error("{work} by {framework} has no figure ({status}); it said:\n{stderr}")]
    Work { work: &'static str, framework: &'static str, status: ExitStatus, stderr: String },
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a measurement has no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// Operations went wrong.
    #[error("{count} operations failed, the first one with: {first}")]
    Operations { count: u64, first: io::Error },
    /// Nothing was done.
    #[error("nothing was done in the time given; raise --secs")]
    Nothing,
    /// A task of the load generator did not end as it should.
    #[error("a client broke: {0}")]
    Client(#[from] tokio::task::JoinError),
}
