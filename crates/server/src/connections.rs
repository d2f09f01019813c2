//! The supervisor of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec};

use crate::connection::Connection;
use crate::strict::NoEntry;
use crate::units::Units;
use crate::{Accepted, ConnectionTracker, Protocol};

/// A supervisor of connections, each an actor of its own that runs a [`Protocol`]. They may come from anywhere.
///
/// A connection that fails is reported and closed, and no other notices: they are temporary children, never started
/// again. A clone names the same supervisor.
pub struct Connections<P> {
    protocol: Arc<P>,
    gate: ConnectionTracker,
    units: Arc<Units>,
}

impl<P: Protocol> Connections<P> {
    /// Connections served by `protocol`, without a limit, on the arbiter of their supervisor.
    pub fn new(protocol: P) -> Self {
        Self { protocol: Arc::new(protocol), gate: ConnectionTracker::new(), units: Arc::new(Units::here()) }
    }

    /// Serves them on so many arbiters, threads that belong to this supervisor, and hands each new connection to the one
    /// with the fewest. With 0, the default, on its own; with more than 1024 it does not start. To be said before it is
    /// started.
    ///
    /// A connection never changes its thread, unless it is given away. An arbiter that is gone is replaced by a new one;
    /// the connections on it are lost, others are not.
    #[must_use]
    pub fn arbiters(self, count: usize) -> Self {
        Self { units: Arc::new(Units::on(count)), ..self }
    }

    /// How many there may be at a time: one hard number. With 0 none is served.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        Self { gate: self.gate.max_connections(limit), ..self }
    }

    /// The gate that counts, limits and drains them; its [`metrics`](Gate::metrics) say how those that are over ended.
    pub fn gate(&self) -> &ConnectionTracker {
        &self.gate
    }

    /// The supervisor as a child. To be started once.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let (protocol, gate) = (Arc::clone(&self.protocol), self.gate.clone());
        self.units.child_spec(id.into(), self.gate.server(), move |env, accepted| {
            Connection::new(Arc::clone(&protocol), accepted, env.clone(), gate.clone())
        })
    }

    /// How many connections each arbiter has; empty when they are on the supervisor's own.
    pub fn loads(&self) -> Vec<usize> {
        self.units.loads()
    }

    pub(crate) fn units(&self) -> &Arc<Units> {
        &self.units
    }

    /// The child that drains them; see [`Gate::drain_spec`].
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        self.gate.drain_spec(id, deadline)
    }

    /// Starts an actor that claims the connection and serves it. One that comes without a permit of this gate gets one
    /// here, by the limits of this gate and in place of another gate's.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the connection back.
    pub fn start(&self, accepted: Accepted) -> Result<(), RejectError> {
        let accepted = if accepted.permit().is_some_and(|permit| permit.gate().is(&self.gate)) {
            accepted
        } else if self.gate.is_draining() {
            return Err(RejectError::Draining(accepted));
        } else {
            match self.gate.enter(None, accepted.peer_addr()) {
                Ok(permit) => accepted.with_permit(permit),
                Err(NoEntry::Full) => return Err(RejectError::Full(accepted)),
                Err(NoEntry::Peer) => return Err(RejectError::FullOfPeer(accepted)),
                Err(NoEntry::Rate) => return Err(RejectError::TooFast(accepted)),
            }
        };
        self.units.start(accepted).map_err(RejectError::NotRunning)
    }
}

impl<P> Clone for Connections<P> {
    fn clone(&self) -> Self {
        Self { protocol: Arc::clone(&self.protocol), gate: self.gate.clone(), units: Arc::clone(&self.units) }
    }
}

impl<P> fmt::Debug for Connections<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("gate", &self.gate).finish_non_exhaustive()
    }
}

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
