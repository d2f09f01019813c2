//! The supervisor of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec, DynamicRef, DynamicSupervisor};

use crate::connection::Connection;
use crate::ends::Tally;
use crate::{Accepted, Ends, Gate, Protocol};

/// How long a connection's actor has to end when its supervisor stops and it did not leave during the drain.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A supervisor of connections, each an actor of its own that runs a [`Protocol`]. They may come from anywhere.
///
/// A connection that fails is reported and closed, and no other notices: they are temporary children, never started
/// again. A clone names the same supervisor.
pub struct Connections<P> {
    protocol: Arc<P>,
    gate: Gate,
    supervisor: DynamicRef<Accepted>,
    tally: Arc<Tally>,
}

impl<P: Protocol> Connections<P> {
    /// Connections served by `protocol`, without a limit.
    pub fn new(protocol: P) -> Self {
        let (gate, supervisor) = (Gate::new(), DynamicRef::new());
        Self { protocol: Arc::new(protocol), gate, supervisor, tally: Arc::default() }
    }

    /// How many there may be at a time: one hard number.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        Self { gate: self.gate.max_connections(limit), ..self }
    }

    /// The gate that counts, limits and drains them.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How those that are over ended.
    pub fn ends(&self) -> Ends {
        self.tally.ends()
    }

    /// The supervisor as a child. To be started once.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let (protocol, tally) = (Arc::clone(&self.protocol), Arc::clone(&self.tally));
        let supervisor = DynamicSupervisor::new(move |env, accepted| {
            Ok(Connection::new(Arc::clone(&protocol), accepted, env.clone(), Arc::clone(&tally)))
        });
        self.supervisor.child_spec(id, supervisor.shutdown(STOP_TIME))
    }

    /// The child that drains them; see [`Gate::drain_spec`].
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        self.gate.drain_spec(id, deadline)
    }

    /// Starts an actor that claims the connection and serves it. One that comes without a permit of this gate gets one
    /// here, in place of another gate's.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the connection back.
    pub fn start(&self, accepted: Accepted) -> Result<(), Refusal> {
        let accepted = if accepted.permit().is_some_and(|permit| permit.gate().is(&self.gate)) {
            accepted
        } else if self.gate.is_draining() {
            return Err(Refusal::Draining(accepted));
        } else if let Some(permit) = self.gate.admit() {
            accepted.with_permit(permit)
        } else {
            return Err(Refusal::Full(accepted));
        };
        self.supervisor.start(accepted).map_err(Refusal::NotRunning)
    }
}

impl<P> Clone for Connections<P> {
    fn clone(&self) -> Self {
        Self {
            protocol: Arc::clone(&self.protocol),
            gate: self.gate.clone(),
            supervisor: self.supervisor.clone(),
            tally: Arc::clone(&self.tally),
        }
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
pub enum Refusal {
    /// The limit is reached.
    #[error("the limit of connections is reached")]
    Full(Accepted),
    /// The server is going down.
    #[error("the server is going down")]
    Draining(Accepted),
    /// The supervisor has not started, or is gone.
    #[error("the supervisor of connections is not running")]
    NotRunning(Accepted),
}

impl Refusal {
    /// The connection.
    pub fn into_accepted(self) -> Accepted {
        match self {
            Self::Full(accepted) | Self::Draining(accepted) | Self::NotRunning(accepted) => accepted,
        }
    }
}
