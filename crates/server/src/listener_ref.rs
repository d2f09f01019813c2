//! A listener from outside: asked, changed, suspended, drained.

use std::sync::Arc;
use std::time::Duration;

use impresario_actor::SupervisorRef;
use slog::{Discard, Logger, o};

use crate::held::Held;
use crate::phase::{Phase, Step};
use crate::rate::Rate;
use crate::registry::{ConnectionId, ConnectionStats};
use crate::units::Units;
use crate::waiting::within;
use crate::{Address, Alarm, ConnectionTracker, ListenError, Metrics, Policy};

/// How long connections that were closed from outside are waited for.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Names a listener, through all its lives: what it is doing can be asked, and changed while it runs.
///
/// Changes hold from the next connection on, over restarts too; they close nothing.
#[derive(Clone, Debug)]
pub struct ListenerRef {
    pub(crate) gate: ConnectionTracker,
    pub(crate) sockets: Vec<Arc<Held>>,
    pub(crate) units: Arc<Units>,
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
    Leaving,
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
        match self.gate.phase() {
            Phase::Leaving | Phase::Stopping => Status::Draining,
            Phase::Kept | Phase::Closed => Status::Suspended,
            Phase::Stopped => Status::Stopped,
            Phase::Open | Phase::LameDuck if self.gate.acceptors() == 0 => Status::Stopped,
            Phase::LameDuck => Status::LameDuck,
            Phase::Open => Status::Running,
        }
    }

    /// What it has seen, in numbers.
    pub fn metrics(&self) -> Metrics {
        self.gate.metrics()
    }

    /// How many connections count against the limit.
    pub fn active(&self) -> usize {
        self.gate.active()
    }

    /// The connections that there are, oldest first.
    pub fn connections(&self) -> Vec<ConnectionStats> {
        self.gate.connections()
    }

    /// How many connections each arbiter has; empty when they are on the listener's own.
    pub fn loads(&self) -> Vec<usize> {
        self.units.loads()
    }

    /// The supervisor at its root, with the children `connections`, `acceptor` and `drain`.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// How many connections there may be at a time. A lower limit closes nothing: it lets nobody in until enough have
    /// left. With 0 nobody comes in until it is raised.
    pub fn set_max_connections(&self, limit: usize) {
        self.gate.set_max_connections(limit);
    }

    /// How many connections there may be at a time.
    pub fn max_connections(&self) -> usize {
        self.gate.limit()
    }

    /// What happens to those for whom there is no room.
    pub fn set_policy(&self, policy: Policy) {
        self.gate.set_policy(policy);
    }

    /// What happens to those for whom there is no room.
    pub fn policy(&self) -> Policy {
        self.gate.policy()
    }

    /// How many connections one peer may have, by IP address; all addresses of an IPv6 /64 are one peer. Who has more is
    /// closed whatever the policy is, since nobody else can wait for it. Peers without an IP address, as those of unix
    /// sockets, share no limit. Behind a proxy it is the proxy's connections that are limited: what a PROXY header says is
    /// not known yet. Connections that came before the first limit was set are not counted.
    pub fn set_max_connections_per_peer(&self, limit: usize) {
        self.gate.set_max_per_peer(limit);
    }

    /// How many connections may come a second; `None` for any number. Who comes too fast waits or is closed, by the
    /// policy.
    pub fn set_max_rate(&self, rate: impl Into<Option<Rate>>) {
        self.gate.set_rate(rate.into());
    }

    /// Other alarms. One with the threshold of a former one keeps quiet for the rest of its time.
    pub fn set_alarms(&self, alarms: impl IntoIterator<Item = Alarm>) {
        self.gate.set_alarms(alarms.into_iter().collect());
    }

    /// Waits until the number of connections that count is such (Ranch: `wait_for_connections/3`).
    #[doc(alias = "wait_for_connections")]
    pub async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        self.gate.until_active(wanted).await;
    }

    /// Closes a connection: its actor ends at once. Says whether there is such a connection.
    ///
    /// One that was given away by its actor is still among the [`connections`](Self::connections), because it keeps its
    /// place behind the gate. It has no actor of this listener to end: it is closed only when its new owner drops it, or,
    /// if that is a connection's actor of this listener again, with that.
    pub fn close(&self, connection: ConnectionId) -> bool {
        self.gate.close(connection)
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
            self.check_own_sockets()?;
        }
        if !self.gate.step(Step::Suspend { keep }) {
            return Err(SuspendError::Leaving);
        }
        self.gate.silent().await;
        if !keep && !self.gate.phase().listens() {
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
        if self.gate.phase() == Phase::Open {
            return Ok(());
        }
        if !matches!(self.gate.phase(), Phase::Kept | Phase::Closed) {
            return Err(SuspendError::Leaving);
        }
        Held::open_all(&self.sockets, &Logger::root(Discard, o!()))?;
        if self.gate.step(Step::Resume) {
            return Ok(());
        }
        // A stop came in between, and may have closed them before.
        self.close_sockets();
        Err(SuspendError::Leaving)
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
        self.check_own_sockets()?;
        if !self.gate.step(Step::Drain) {
            return Err(SuspendError::Leaving);
        }
        let done = Done(&self.gate);
        self.gate.silent().await;
        if !self.gate.phase().listens() {
            self.close_sockets();
        }
        let mut closed = 0;
        if within(deadline.into(), self.gate.empty()).await.is_none() {
            closed = self.gate.all();
            self.gate.close_all();
            // One that was given away has no actor of ours that could be ended.
            within(Some(CLOSE_TIME), self.gate.empty()).await;
        }
        drop(done);
        Ok(Drained { closed })
    }

    fn close_sockets(&self) {
        self.sockets.iter().for_each(|socket| socket.close());
    }

    fn check_own_sockets(&self) -> Result<(), SuspendError> {
        match self.sockets.iter().find_map(|socket| socket.inherited_addr()) {
            Some(address) => Err(SuspendError::Inherited { address: address.clone() }),
            None => Ok(()),
        }
    }
}

/// A drain that is over, in whatever way.
struct Done<'a>(&'a ConnectionTracker);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        // Not when a stop came in between.
        self.0.step(Step::Drained);
    }
}
