//! The actors of connections, their supervisors, and the arbiters that they run on.
//!
//! [`Connections`] starts one actor for each connection, on the arbiter with the fewest. This folder may not know
//! listening sockets or acceptors: a connection comes from any caller.

pub(crate) mod arbiters;
mod balance;
mod connection_actor;
pub(crate) mod reject;

use std::fmt;
use std::sync::Arc;

use impresario_actor::{ChildId, ChildSpec, StartError};

use crate::protocol::Protocol;
use crate::socket::accepted::Accepted;
use crate::tracker::ConnectionTracker;
use crate::tracker::limits::RejectReason;
use arbiters::{ArbiterSlot, MakeActor};
use connection_actor::ConnectionActor;
use reject::RejectError;

/// A supervisor of connections, each an actor of its own that runs a [`Protocol`]. They may come from anywhere.
///
/// A connection that fails is reported and closed, and no other notices: they are temporary children, never started
/// again. A clone names the same supervisor.
pub struct Connections<P> {
    protocol: Arc<P>,
    tracker: ConnectionTracker,
    slots: Arc<[ArbiterSlot]>,
    /// How many arbiters of their own were asked for.
    arbiters: usize,
}

impl<P: Protocol> Connections<P> {
    /// Connections served by `protocol`, without a limit, on the arbiter of their supervisor.
    pub fn new(protocol: P) -> Self {
        Self {
            protocol: Arc::new(protocol),
            tracker: ConnectionTracker::new(),
            slots: arbiters::slots(0),
            arbiters: 0,
        }
    }

    /// Serves them on so many arbiters, threads that belong to this supervisor, and hands each new connection to the one
    /// with the fewest. With 0, the default, on its own; with more than 1024 it does not start. To be said before it is
    /// started.
    ///
    /// A connection never changes its thread, unless it is given away. An arbiter that is gone is replaced by a new one;
    /// the connections on it are lost, others are not.
    #[must_use]
    pub fn arbiters(self, count: usize) -> Self {
        Self { slots: arbiters::slots(count), arbiters: count, ..self }
    }

    /// How many there may be at a time: one hard number. With 0 none is served.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        Self { tracker: self.tracker.max_connections(limit), ..self }
    }

    /// The tracker that counts, limits and drains them; its [`metrics`](ConnectionTracker::metrics) say how those that are over ended.
    pub fn tracker(&self) -> &ConnectionTracker {
        &self.tracker
    }

    /// The supervisor as a child. To be started once.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let (protocol, tracker) = (Arc::clone(&self.protocol), self.tracker.clone());
        let (slots, count) = (Arc::clone(&self.slots), self.arbiters);
        let make: Arc<MakeActor<ConnectionActor<P>>> = Arc::new(move |context, accepted| {
            ConnectionActor::new(Arc::clone(&protocol), accepted, context.clone(), tracker.clone())
        });
        self.tracker.supervisor().child_spec(id, move |_| {
            arbiters::check(count)?;
            Ok(arbiters::supervisor(&slots, &make))
        })
    }

    /// How many connections each arbiter has; empty when they are on the supervisor's own.
    pub fn loads(&self) -> Vec<usize> {
        arbiters::loads(&self.slots)
    }

    pub(crate) fn slots(&self) -> &Arc<[ArbiterSlot]> {
        &self.slots
    }

    /// Refuses a number of arbiters that is too high, before anything is started.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        arbiters::check(self.arbiters)
    }

    /// Starts an actor that claims the connection and serves it. One that comes without a permit of this tracker gets one
    /// here, by the limits of this tracker and in place of another tracker's.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the connection back.
    pub fn start(&self, accepted: Accepted) -> Result<(), RejectError> {
        let accepted = if accepted.permit().is_some_and(|permit| self.tracker.has_given(permit)) {
            accepted
        } else if self.tracker.is_draining() {
            return Err(RejectError::Draining(accepted));
        } else {
            match self.tracker.check_admission(accepted.peer_addr()) {
                Ok(permit) => accepted.with_permit(permit),
                Err(RejectReason::Full) => return Err(RejectError::Full(accepted)),
                Err(RejectReason::Peer) => return Err(RejectError::FullOfPeer(accepted)),
                Err(RejectReason::Rate) => return Err(RejectError::TooFast(accepted)),
            }
        };
        arbiters::start(&self.slots, accepted).map_err(RejectError::NotRunning)
    }
}

impl<P> Clone for Connections<P> {
    fn clone(&self) -> Self {
        Self {
            protocol: Arc::clone(&self.protocol),
            tracker: self.tracker.clone(),
            slots: Arc::clone(&self.slots),
            arbiters: self.arbiters,
        }
    }
}

impl<P> fmt::Debug for Connections<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}
