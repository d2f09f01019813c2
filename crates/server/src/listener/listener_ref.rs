//! Requests to a running listener.

use std::sync::Arc;
use std::time::Duration;

use impresario_actor::SupervisorRef;
use slog::{Discard, Logger, o};

use crate::address::Address;
use crate::connections::arbiters::{self, ArbiterSlot};
use crate::listen::bound_socket::BoundSocket;
use crate::listen::listen_socket::ListenError;
use crate::tracker::ConnectionTracker;
use crate::tracker::alarm::Alarm;
use crate::tracker::connection_table::{ConnectionId, ConnectionStats};
use crate::tracker::limits::Policy;
use crate::tracker::metrics::Metrics;
use crate::tracker::phase::{Phase, PhaseEvent};
use crate::tracker::rate::Rate;
use crate::tracker::wait::timeout_opt;

/// Time limit for the close of connections that were closed from outside.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Refers to a listener through its restarts: its status can be read, and its settings changed while it runs.
///
/// Changes apply from the next connection on, also over restarts; they close no connection.
#[derive(Clone, Debug)]
pub struct ListenerRef {
    pub(crate) tracker: ConnectionTracker,
    pub(crate) sockets: Vec<Arc<BoundSocket>>,
    pub(crate) slots: Arc<[ArbiterSlot]>,
    pub(crate) supervisor: SupervisorRef,
}

/// The status of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Not started, stopped, or its acceptors are being restarted.
    Stopped,
    /// It accepts.
    Running,
    /// It accepts, and will stop soon: health checks should report it as unavailable.
    LameDuck,
    /// It does not accept until it is resumed; its connections go on.
    Suspended,
    /// It does not accept, and has asked its connections to finish.
    Draining,
}

/// The listening sockets of a suspended listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// They stay open: new connections wait until the listener is resumed.
    KeepSockets,
    /// They are closed: new connections are refused. They get the same addresses when the listener is resumed.
    CloseSockets,
}

/// Why a listener was not suspended, resumed or drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendError {
    /// It is being stopped, or drained by another caller.
    #[error("the listener is on its way out")]
    Draining,
    /// A closed inherited socket cannot be bound again.
    #[error(
        "the socket on {address} is inherited and could not be had again; suspend the listener and keep it"
    )]
    Inherited {
        /// Its address.
        address: Address,
    },
    /// An address cannot be bound again. The listener stays suspended.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// The result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Number of connections that were closed at the deadline.
    pub closed: usize,
}

impl ListenerRef {
    /// Its addresses, from its first start on, with true ports.
    pub fn local_addrs(&self) -> Vec<Address> {
        self.sockets.iter().filter_map(|socket| socket.local_addr()).collect()
    }

    /// Its status.
    pub fn status(&self) -> Status {
        match self.tracker.phase() {
            Phase::Draining | Phase::Stopping => Status::Draining,
            Phase::SuspendedListening | Phase::Closed => Status::Suspended,
            Phase::Stopped => Status::Stopped,
            Phase::Open | Phase::LameDuck if self.tracker.acceptors() == 0 => Status::Stopped,
            Phase::LameDuck => Status::LameDuck,
            Phase::Open => Status::Running,
        }
    }

    /// Its counters.
    pub fn metrics(&self) -> Metrics {
        self.tracker.metrics()
    }

    /// Number of connections that count against the limit.
    pub fn active(&self) -> usize {
        self.tracker.active()
    }

    /// The open connections, oldest first.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.tracker.connections()
    }

    /// Number of connections of each arbiter; empty when they run on the listener's own.
    pub fn loads(&self) -> Vec<usize> {
        arbiters::loads(&self.slots)
    }

    /// The supervisor at its root, with the children `connections`, `acceptor` and `drain`.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Sets the limit of connections. A lower limit closes none: it admits none until the number is below it.
    /// With 0 no connection is admitted until it is raised.
    pub fn set_max_connections(&self, limit: usize) {
        self.tracker.set_max_connections(limit);
    }

    /// The limit of connections.
    pub fn max_connections(&self) -> usize {
        self.tracker.limit()
    }

    /// Sets the policy for connections above a limit.
    pub fn set_policy(&self, policy: Policy) {
        self.tracker.set_policy(policy);
    }

    /// The policy for connections above a limit.
    pub fn policy(&self) -> Policy {
        self.tracker.policy()
    }

    /// Sets the limit of one peer, by IP address; all addresses of an IPv6 /64 are one peer. A connection above
    /// it is closed under either policy, so that others need not wait for it. Peers without an IP address, such
    /// as those of unix sockets, have no limit. Behind a proxy the limit applies to the proxy, because it is
    /// checked before the PROXY header. Connections from before the first limit are not counted.
    pub fn set_max_connections_per_peer(&self, limit: usize) {
        self.tracker.set_max_per_peer(limit);
    }

    /// Sets the rate limit; `None` for none. Connections above it wait or are closed, by the policy.
    pub fn set_max_rate(&self, rate: impl Into<Option<Rate>>) {
        self.tracker.set_rate(rate.into());
    }

    /// Replaces the alarms. One with a known threshold keeps the rest of its cooldown.
    pub fn set_alarms(&self, alarms: impl IntoIterator<Item = Alarm>) {
        self.tracker.set_alarms(alarms.into_iter().collect());
    }

    /// Waits until the number of counted connections satisfies a condition (Ranch: `wait_for_connections/3`).
    #[doc(alias = "wait_for_connections")]
    pub async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        self.tracker.until_active(wanted).await;
    }

    /// Closes a connection by ending its actor; returns whether there is such a connection.
    ///
    /// A connection that its actor has transferred is still among the [`connections`](Self::connections),
    /// because it keeps its permit. It has no actor of this listener, so it closes when its new owner drops it,
    /// or with its new actor if that belongs to this listener.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.tracker.close(connection)
    }

    /// Suspends it, and returns when it has stopped to accept. It stays so until it is resumed, or stopped in
    /// order and started again. Connections go on. A second call with the other choice closes kept sockets;
    /// closed ones stay closed. It also returns when another caller resumes the listener.
    ///
    /// # Errors
    ///
    /// When it is being stopped or drained, or when an inherited socket would be closed. Its state is unchanged
    /// then.
    pub async fn suspend(&self, how: Suspend) -> Result<(), SuspendError> {
        let keep = how == Suspend::KeepSockets;
        if !keep {
            self.check_rebindable()?;
        }
        if !self.tracker.apply(PhaseEvent::Suspend { keep }) {
            return Err(SuspendError::Draining);
        }
        self.tracker.wait_not_accepting().await;
        if !keep && !self.tracker.phase().listens() {
            // Those of acceptors that have exited.
            self.close_sockets();
        }
        Ok(())
    }

    /// Resumes it at the same addresses. Has no effect on a listener that accepts.
    ///
    /// # Errors
    ///
    /// When an address was bound by another process meanwhile; the listener stays suspended.
    pub fn resume(&self) -> Result<(), SuspendError> {
        if self.tracker.phase() == Phase::Open {
            return Ok(());
        }
        if !matches!(self.tracker.phase(), Phase::SuspendedListening | Phase::Closed) {
            return Err(SuspendError::Draining);
        }
        BoundSocket::open_all(&self.sockets, &Logger::root(Discard, o!()))?;
        if self.tracker.apply(PhaseEvent::Resume) {
            return Ok(());
        }
        // A stop came in between, and may have closed them before.
        self.close_sockets();
        Err(SuspendError::Draining)
    }

    /// Closes the listening sockets, asks all connections to finish, closes those that have not at the
    /// deadline, and leaves the listener suspended. The tree keeps running; [`resume`](Self::resume) accepts
    /// again.
    ///
    /// If the future is dropped, the drain stops there; connections between two reads were asked already. If
    /// the listener is stopped and started again meanwhile, its new connections are not affected.
    ///
    /// # Errors
    ///
    /// When it is being stopped or drained, or has an inherited socket.
    pub async fn drain(&self, deadline: impl Into<Option<Duration>>) -> Result<Drained, SuspendError> {
        self.check_rebindable()?;
        if !self.tracker.apply(PhaseEvent::Drain) {
            return Err(SuspendError::Draining);
        }
        let done = FinishDrainOnDrop(&self.tracker);
        self.tracker.wait_not_accepting().await;
        if !self.tracker.phase().listens() {
            self.close_sockets();
        }
        let mut closed = 0;
        if timeout_opt(deadline.into(), self.tracker.wait_empty()).await.is_none() {
            closed = self.tracker.all();
            self.tracker.close_all();
            // A transferred connection has no actor here that could be ended.
            timeout_opt(Some(CLOSE_TIMEOUT), self.tracker.wait_empty()).await;
        }
        drop(done);
        Ok(Drained { closed })
    }

    fn close_sockets(&self) {
        self.sockets.iter().for_each(|socket| socket.close());
    }

    fn check_rebindable(&self) -> Result<(), SuspendError> {
        match self.sockets.iter().find_map(|socket| socket.inherited_addr()) {
            Some(address) => Err(SuspendError::Inherited { address }),
            None => Ok(()),
        }
    }
}

/// Ends the drain, also when its future is dropped.
struct FinishDrainOnDrop<'a>(&'a ConnectionTracker);

impl Drop for FinishDrainOnDrop<'_> {
    fn drop(&mut self) {
        // Unless a stop came in between.
        self.0.apply(PhaseEvent::Drained);
    }
}
