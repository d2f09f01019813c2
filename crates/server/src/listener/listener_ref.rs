//! A listener from outside: asked, changed, suspended, drained.

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

/// How long connections that were closed from outside are waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Names a listener, through all its lives: what it is doing can be asked, and changed while it runs.
///
/// Changes hold from the next connection on, over restarts too; they close nothing.
#[derive(Clone, Debug)]
pub struct ListenerRef {
    pub(crate) tracker: ConnectionTracker,
    pub(crate) sockets: Vec<Arc<BoundSocket>>,
    pub(crate) slots: Arc<[ArbiterSlot]>,
    pub(crate) supervisor: SupervisorRef,
}

/// What a listener is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It was not started yet, or it was stopped, or its acceptors are just being restarted.
    Stopped,
    /// It accepts.
    Running,
    /// It accepts, and will stop soon: whoever asks about its health should be told to look elsewhere.
    LameDuck,
    /// It does not accept, until it is resumed; its connections live on.
    Suspended,
    /// It does not accept, and has asked its connections to leave.
    Draining,
}

/// What becomes of the listening sockets while a listener is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// They listen on: who connects waits until the listener is resumed.
    KeepSockets,
    /// They are closed: who connects is refused. They get the same addresses back when the listener is resumed.
    CloseSockets,
}

/// Why a listener was not suspended, resumed or drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendError {
    /// It is being stopped, or drained by somebody else.
    #[error("the listener is on its way out")]
    Draining,
    /// Closed sockets that were inherited cannot be had again.
    #[error(
        "the socket on {address} is inherited and could not be had again; suspend the listener and keep it"
    )]
    Inherited {
        /// Where it listens.
        address: Address,
    },
    /// An address cannot be had again. The listener is still suspended.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// How many connections did not leave by the deadline, and were closed.
    pub closed: usize,
}

impl ListenerRef {
    /// Where it listens, from its first start on: the true port, also when 0 was asked for.
    pub fn local_addrs(&self) -> Vec<Address> {
        self.sockets.iter().filter_map(|socket| socket.local_addr()).collect()
    }

    /// What it is doing.
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

    /// What it has seen, in numbers.
    pub fn metrics(&self) -> Metrics {
        self.tracker.metrics()
    }

    /// How many connections count against the limit.
    pub fn active(&self) -> usize {
        self.tracker.active()
    }

    /// The connections that there are, oldest first.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.tracker.connections()
    }

    /// How many connections each arbiter has; empty when they are on the listener's own.
    pub fn loads(&self) -> Vec<usize> {
        arbiters::loads(&self.slots)
    }

    /// The supervisor at its root, with the children `connections`, `acceptor` and `drain`.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// How many connections there may be at a time. A lower limit closes nothing: it lets nobody in until enough have
    /// left. With 0 nobody comes in until it is raised.
    pub fn set_max_connections(&self, limit: usize) {
        self.tracker.set_max_connections(limit);
    }

    /// How many connections there may be at a time.
    pub fn max_connections(&self) -> usize {
        self.tracker.limit()
    }

    /// What happens to those for whom there is no room.
    pub fn set_policy(&self, policy: Policy) {
        self.tracker.set_policy(policy);
    }

    /// What happens to those for whom there is no room.
    pub fn policy(&self) -> Policy {
        self.tracker.policy()
    }

    /// How many connections one peer may have, by IP address; all addresses of an IPv6 /64 are one peer. Who has more is
    /// closed whatever the policy is, since nobody else can wait for it. Peers without an IP address, as those of unix
    /// sockets, share no limit. Behind a proxy it is the proxy's connections that are limited: what a PROXY header says is
    /// not known yet. Connections that came before the first limit was set are not counted.
    pub fn set_max_connections_per_peer(&self, limit: usize) {
        self.tracker.set_max_per_peer(limit);
    }

    /// How many connections may come a second; `None` for any number. Who comes too fast waits or is closed, by the
    /// policy.
    pub fn set_max_rate(&self, rate: impl Into<Option<Rate>>) {
        self.tracker.set_rate(rate.into());
    }

    /// Other alarms. One with the threshold of a former one keeps quiet for the rest of its time.
    pub fn set_alarms(&self, alarms: impl IntoIterator<Item = Alarm>) {
        self.tracker.set_alarms(alarms.into_iter().collect());
    }

    /// Waits until the number of connections that count is such (Ranch: `wait_for_connections/3`).
    #[doc(alias = "wait_for_connections")]
    pub async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        self.tracker.until_active(wanted).await;
    }

    /// Closes a connection: its actor ends at once. Says whether there is such a connection.
    ///
    /// One that was given away by its actor is still among the [`connections`](Self::connections), because it keeps its
    /// place behind the tracker. It has no actor of this listener to end: it is closed only when its new owner drops it, or,
    /// if that is a connection's actor of this listener again, with that.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.tracker.close(connection)
    }

    /// Accepts no more until it is resumed, or stopped in order and started anew, and returns when that is so.
    /// Connections live on. Suspended again, with another choice, kept sockets are closed, but closed ones stay so. When
    /// somebody else resumes it meanwhile, this returns too.
    ///
    /// # Errors
    ///
    /// When it is on its way out, or when a socket that was inherited would be closed. Nothing is changed then.
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
            // Those of acceptors that are gone.
            self.close_sockets();
        }
        Ok(())
    }

    /// Accepts again, at the same addresses. No harm if it does.
    ///
    /// # Errors
    ///
    /// When an address cannot be had again, because somebody else has taken it; then the listener is still suspended.
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

    /// Closes the listening sockets, asks all connections to leave, closes those that have not by the deadline, and
    /// leaves the listener suspended. The tree runs on; [`resume`](Self::resume) takes new connections.
    ///
    /// Dropped before it is done, the drain goes no further; connections that were between two reads have been asked to
    /// leave already. If the listener is stopped meanwhile and started anew, the connections of its new life are none of
    /// the drain's.
    ///
    /// # Errors
    ///
    /// When it is on its way out, or has an inherited socket.
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
            // One that was given away has no actor of ours that could be ended.
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

/// A drain that is over, in whatever way.
struct FinishDrainOnDrop<'a>(&'a ConnectionTracker);

impl Drop for FinishDrainOnDrop<'_> {
    fn drop(&mut self) {
        // Not when a stop came in between.
        self.0.apply(PhaseEvent::Drained);
    }
}
