//! Why a connection was not started.

use crate::socket::accepted::Accepted;

/// Why a connection was not started. The holder of this value owns the connection; dropped, it is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectError {
    /// The limit is reached.
    #[error("the limit of connections is reached")]
    Full(Accepted),
    /// The limit for one peer is reached.
    #[error("the limit of connections from one peer is reached")]
    FullOfPeer(Accepted),
    /// The rate limit is exceeded.
    #[error("connections come faster than the limit allows")]
    TooFast(Accepted),
    /// The listener drains.
    #[error("the server is going down")]
    Draining(Accepted),
    /// The supervisor has not started, or has exited.
    #[error("the supervisor of connections is not running")]
    NotRunning(Accepted),
}

impl RejectError {
    /// The connection.
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
