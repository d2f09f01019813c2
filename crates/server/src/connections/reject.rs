//! Why a connection was not started.

use crate::socket::accepted::Accepted;

/// Why no actor was started for a connection. The error owns the connection: its drop closes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectError {
    /// The limit of connections is reached.
    #[error("the limit of connections is reached")]
    Full(Accepted),
    /// The limit of connections from one peer is reached.
    #[error("the limit of connections from one peer is reached")]
    FullOfPeer(Accepted),
    /// The rate limit has no token.
    #[error("the rate limit of connections is reached")]
    TooFast(Accepted),
    /// The listener drains.
    #[error("the listener is draining")]
    Draining(Accepted),
    /// The supervisor of the connections has not started, or has exited.
    #[error("the supervisor of connections is not running")]
    NotRunning(Accepted),
}

impl RejectError {
    /// The connection that was not served.
    pub fn into_accepted(self) -> Accepted {
        match self {
            Self::Full(accepted)
            | Self::FullOfPeer(accepted)
            | Self::TooFast(accepted)
            | Self::Draining(accepted)
            | Self::NotRunning(accepted) => accepted,
        }
    }
}
