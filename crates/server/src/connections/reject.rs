//! Why a connection is not served.

use crate::socket::accepted::Accepted;

/// Why a connection is not served here. Whoever holds this owns the connection; dropped, it is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectError {
    /// The limit is reached.
    #[error("the limit of connections is reached")]
    Full(Accepted),
    /// The limit for one peer is reached.
    #[error("the limit of connections from one peer is reached")]
    FullOfPeer(Accepted),
    /// They come faster than they may.
    #[error("connections come faster than the limit allows")]
    TooFast(Accepted),
    /// The server is going down.
    #[error("the server is going down")]
    Draining(Accepted),
    /// The supervisor has not started, or is gone.
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
