//! The reference to a listener: queries, changes, suspension and drain while it runs.

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

/// The longest wait of [`ListenerRef::drain`] for connections that it has closed at the deadline.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A reference to a listener. It stays valid over restarts. A clone refers to the same listener.
///
/// A change applies to connections that are admitted later, also after restarts. It closes no connection.
#[derive(Clone, Debug)]
pub struct ListenerRef {
    pub(crate) tracker: ConnectionTracker,
    pub(crate) sockets: Vec<Arc<BoundSocket>>,
    pub(crate) slots: Arc<[ArbiterSlot]>,
    pub(crate) supervisor: SupervisorRef,
}

/// The state of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It was not started yet, or was stopped, or its acceptors are being restarted.
    Stopped,
    /// It accepts.
    Running,
    /// It accepts, and its drain will begin. A health check should report it as not ready.
    LameDuck,
    /// It does not accept until it is resumed. Its connections stay open.
    Suspended,
    /// It does not accept, and its connections were notified of the drain.
    Draining,
}

/// What happens to the listening sockets while a listener is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// They keep listening: new connections wait in the kernel's queue until the listener is resumed.
    KeepSockets,
    /// They are closed: the kernel refuses new connections. [`ListenerRef::resume`] binds the same addresses again.
    CloseSockets,
}

/// Why a listener was not suspended, resumed or drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendError {
    /// The listener is stopped, being stopped, or drained by another caller.
    #[error("the listener is stopped or draining")]
    Draining,
    /// The call would close an inherited socket, which cannot be bound again.
    #[error("the socket on {address} is inherited and cannot be bound again; suspend with KeepSockets")]
    Inherited {
        /// The address of the inherited socket.
        address: Address,
    },
    /// An address cannot be bound again. The listener is still suspended.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// The result of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// The number of connections that were open at the deadline and were closed.
    pub closed: usize,
}

impl ListenerRef {
    /// The addresses of its sockets, with the bound ports. Empty before the first start.
    pub fn local_addrs(&self) -> Vec<Address> {
        self.sockets.iter().filter_map(|socket| socket.local_addr()).collect()
    }

    /// The state of the listener.
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

    /// The counters of the listener.
    pub fn metrics(&self) -> Metrics {
        self.tracker.metrics()
    }

    /// The number of connections that count against the limit.
    pub fn active(&self) -> usize {
        self.tracker.active()
    }

    /// The facts of all open connections, oldest first.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.tracker.connections()
    }

    /// The number of connections of each arbiter; empty when they run on the arbiter of the listener.
    pub fn loads(&self) -> Vec<usize> {
        arbiters::loads(&self.slots)
    }

    /// The supervisor of the listener, with the children `connections`, `acceptor` and `drain`. Further acceptors are
    /// `acceptor 1`, `acceptor 2` and so on.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Sets the most connections at a time. A lower limit closes no connection: none is admitted until the number of
    /// connections is below the limit. With 0 none is admitted until the limit is raised.
    pub fn set_max_connections(&self, limit: usize) {
        self.tracker.set_max_connections(limit);
    }

    /// The most connections at a time.
    pub fn max_connections(&self) -> usize {
        self.tracker.limit()
    }

    /// Sets what happens to connections above a limit.
    pub fn set_policy(&self, policy: Policy) {
        self.tracker.set_policy(policy);
    }

    /// What happens to connections above a limit.
    pub fn policy(&self) -> Policy {
        self.tracker.policy()
    }

    /// Sets the most connections of one peer, by IP address. All addresses of an IPv6 /64 are one peer.
    ///
    /// A connection above this limit is closed under both policies: in the kernel's queue it would block the connections
    /// of other peers. It takes no token of the rate limit.
    ///
    /// Peers without an IP address, as those of unix sockets, are not limited. Behind a proxy the proxy is the peer,
    /// because a PROXY header is read after the admission. Connections that were admitted before the first limit was set
    /// are not counted. At most 65,536 peers are counted; further ones are not limited.
    pub fn set_max_connections_per_peer(&self, limit: usize) {
        self.tracker.set_max_per_peer(limit);
    }

    /// Sets the rate limit of new connections; `None` removes it. A connection above the rate waits or is closed, by the
    /// policy.
    pub fn set_max_rate(&self, rate: impl Into<Option<Rate>>) {
        self.tracker.set_rate(rate.into());
    }

    /// Replaces all alarms. An alarm with the threshold of a former one keeps the time at which that one fired.
    pub fn set_alarms(&self, alarms: impl IntoIterator<Item = Alarm>) {
        self.tracker.set_alarms(alarms.into_iter().collect());
    }

    /// Waits until `wanted` holds for the number of connections that count against the limit
    /// (Ranch: `wait_for_connections/3`).
    #[doc(alias = "wait_for_connections")]
    pub async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        self.tracker.until_active(wanted).await;
    }

    /// Stops the actor of a connection immediately; `false` when no connection has this id.
    ///
    /// A transferred connection is still among the [`connections`](Self::connections), because it keeps its permit. It is
    /// closed only if its new owner is an actor of [`Connections`](crate::Connections); any other owner keeps it open.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.tracker.close(connection)
    }

    /// Stops accepting until [`resume`](Self::resume), or until a stop and a new start. Connections stay open.
    ///
    /// Returns when no acceptor accepts, or when another caller has resumed the listener. A second call with
    /// `CloseSockets` closes kept sockets. A second call with `KeepSockets` does not open closed ones.
    ///
    /// # Errors
    ///
    /// The listener is stopped, draining or a lame duck, or an inherited socket would be closed. Nothing is changed then.
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
            // An acceptor that is being restarted has not closed its socket.
            self.close_sockets();
        }
        Ok(())
    }

    /// Accepts again, at the same addresses. Has no effect while the listener accepts.
    ///
    /// # Errors
    ///
    /// The listener is not suspended, or an address cannot be bound again because another process listens on it. In the
    /// second case the listener is still suspended.
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
        // A stop came after the check of the phase. It may have closed the sockets before they were opened here.
        self.close_sockets();
        Err(SuspendError::Draining)
    }

    /// Closes the listening sockets, notifies all connections, and closes those that are open at the deadline. `None` is
    /// no deadline. The listener is suspended afterwards: [`resume`](Self::resume) accepts again.
    ///
    /// Closed connections have 5 s to end; then this returns without them. When the future is dropped the
    /// drain stops. Connections that were notified before still close. When the listener is stopped and
    /// started meanwhile, the drain ends and closes no connection of the new start.
    ///
    /// # Errors
    ///
    /// The listener is stopped, draining or a lame duck, or has an inherited socket. Nothing is changed then.
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
            // With a bound: a transferred connection may have no actor of this crate that can be stopped.
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

/// Ends the phase of a drain when the drain has finished or its future is dropped.
struct FinishDrainOnDrop<'a>(&'a ConnectionTracker);

impl Drop for FinishDrainOnDrop<'_> {
    fn drop(&mut self) {
        // Has no effect after a stop.
        self.0.apply(PhaseEvent::Drained);
    }
}
