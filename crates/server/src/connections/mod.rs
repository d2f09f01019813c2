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

/// A supervisor of connections. Each connection is an actor that runs a [`Protocol`]. Any caller can start one.
///
/// Connections are temporary children: one that fails is reported, closed and never restarted, and affects no other. A
/// clone is the same supervisor.
pub struct Connections<P> {
    protocol: Arc<P>,
    tracker: ConnectionTracker,
    slots: Arc<[ArbiterSlot]>,
    /// The requested number of arbiters.
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

    /// Serves connections on `count` arbiters of this supervisor, each a thread. A new connection goes to the arbiter with
    /// the fewest, among those with fewer than 16 connections that are handed over and not claimed yet.
    ///
    /// The default is 0: all connections run on the arbiter of the supervisor. With more than 1024 the start fails. To be
    /// called before the start.
    ///
    /// A connection stays on its thread until it is transferred. An arbiter that has exited is replaced, and only its own
    /// connections are closed.
    #[must_use]
    pub fn arbiters(self, count: usize) -> Self {
        Self { slots: arbiters::slots(count), arbiters: count, ..self }
    }

    /// Sets the most connections at a time, a hard limit. The default is no limit. With 0 no connection is admitted.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        Self { tracker: self.tracker.max_connections(limit), ..self }
    }

    /// The tracker that counts, limits and drains the connections. Its [`metrics`](ConnectionTracker::metrics) count how
    /// connections ended.
    pub fn tracker(&self) -> &ConnectionTracker {
        &self.tracker
    }

    /// The supervisor as a child, to be started once at a time.
    ///
    /// Its start fails with more than 1024 arbiters.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let (id, protocol, tracker) = (id.into(), Arc::clone(&self.protocol), self.tracker.clone());
        tracker.set_name(id.clone());
        let (slots, count) = (Arc::clone(&self.slots), self.arbiters);
        let make: Arc<MakeActor<ConnectionActor<P>>> = Arc::new(move |context, accepted| {
            ConnectionActor::new(Arc::clone(&protocol), accepted, context.clone(), tracker.clone())
        });
        self.tracker.supervisor().child_spec(id, move |_| {
            arbiters::check(count)?;
            Ok(arbiters::supervisor(&slots, &make))
        })
    }

    /// The number of connections of each arbiter; empty when they run on the arbiter of the supervisor.
    pub fn loads(&self) -> Vec<usize> {
        arbiters::loads(&self.slots)
    }

    pub(crate) fn slots(&self) -> &Arc<[ArbiterSlot]> {
        &self.slots
    }

    /// Checks the number of arbiters before anything is started.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        arbiters::check(self.arbiters)
    }

    /// Starts an actor that claims the connection and serves it.
    ///
    /// A connection without a permit of this tracker gets one, if the limits of this tracker admit it. It replaces the
    /// permit of another tracker.
    ///
    /// # Errors
    ///
    /// The reason, with the connection in it: a limit, a drain, or a supervisor that does not run.
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
