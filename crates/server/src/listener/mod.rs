//! A listener as a tree of actors: the supervisor of its connections, its acceptors, and the drain.
//!
//! [`Listener`] builds the tree. [`ListenerRef`](listener_ref::ListenerRef) queries and changes it while it runs. This
//! folder uses all others, and no other folder may use it.

mod drain;
pub(crate) mod listener_ref;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec, StartError, Strategy, Supervisor, SupervisorRef};

use crate::accept::acceptor::Acceptor;
use crate::connections::Connections;
use crate::listen::bound_socket::BoundSocket;
use crate::listen::endpoint::Endpoint;
use crate::protocol::Protocol;
use crate::tracker::alarm::Alarm;
use crate::tracker::limits::Policy;
use crate::tracker::phase::PhaseEvent;
use crate::tracker::rate::Rate;
use listener_ref::ListenerRef;

/// The default of [`Listener::drain_deadline`].
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A server: listening sockets and the protocol of their connections (OTP: `ranch:child_spec/5`).
///
/// ```
/// # use impresario_server::{Bytes, Handler, Listener, Next, Socket};
/// # use std::io;
/// # struct Echo;
/// # impl Handler for Echo {
/// #     async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
/// #         socket.send(data).await?;
/// #         Ok(Next::Continue)
/// #     }
/// # }
/// use impresario_actor::{Strategy, Supervisor};
///
/// let echo = Listener::tcp("127.0.0.1:7007", || Echo).max_connections(10_000);
/// let tree = Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo"));
/// ```
///
/// Its sockets are bound at the first start. Later starts use the same port. A stop closes the sockets, notifies the
/// connections of the drain, and closes those that are open at the [deadline](Self::drain_deadline).
///
/// A [`ListenerRef`] queries and changes it while it runs.
pub struct Listener<P> {
    listener: ListenerRef,
    connections: Connections<P>,
    lame_duck: Duration,
    drain_deadline: Option<Duration>,
}

impl<P: Protocol> Listener<P> {
    /// A listener on a TCP address, `HOST:PORT`. With port 0 the kernel chooses a port.
    ///
    /// By default connections are not limited, and the deadline of a drain is 10 s.
    pub fn tcp(address: impl fmt::Display, protocol: P) -> Self {
        Self::on(Endpoint::tcp(address), protocol)
    }

    /// A listener on a unix socket with this path; see [`Endpoint::unix`].
    pub fn unix(path: impl Into<PathBuf>, protocol: P) -> Self {
        Self::on(Endpoint::unix(path), protocol)
    }

    /// A listener on an endpoint: `"HOST:PORT"`, `"unix:PATH"`, or a [`ListenSocket`](crate::ListenSocket).
    pub fn on(endpoint: impl Into<Endpoint>, protocol: P) -> Self {
        let connections = Connections::new(protocol);
        let sockets = vec![Arc::new(BoundSocket::new(endpoint.into()))];
        let listener = ListenerRef {
            tracker: connections.tracker().clone(),
            sockets,
            slots: Arc::clone(connections.slots()),
            supervisor: SupervisorRef::new(),
        };
        Self { listener, connections, lame_duck: Duration::ZERO, drain_deadline: Some(DRAIN_DEADLINE) }
    }

    /// Adds an endpoint with its own acceptor. Limits, drain and metrics are for all endpoints together.
    #[must_use]
    pub fn add_endpoint(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.listener.sockets.push(Arc::new(BoundSocket::new(endpoint.into())));
        self
    }

    /// Serves connections on `count` arbiters, each a thread with a supervisor of connections; see
    /// [`Connections::arbiters`]. The default is 0: all connections run on the arbiter of the listener.
    #[must_use]
    pub fn arbiters(mut self, count: usize) -> Self {
        self.connections = self.connections.arbiters(count);
        self.listener.slots = Arc::clone(self.connections.slots());
        self
    }

    /// Sets the most connections at a time, a hard limit for all sockets and arbiters together. The default is no limit.
    /// With 0 no connection is admitted until the limit is raised.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        self.listener.set_max_connections(limit);
        self
    }

    /// Sets what happens to connections above a limit. The default is [`Policy::Queue`].
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.listener.set_policy(policy);
        self
    }

    /// Sets the most connections of one peer; see [`ListenerRef::set_max_connections_per_peer`]. The default is no limit.
    #[must_use]
    pub fn max_connections_per_peer(self, limit: usize) -> Self {
        self.listener.set_max_connections_per_peer(limit);
        self
    }

    /// Sets the rate limit of new connections. The default is no limit.
    #[must_use]
    pub fn max_rate(self, rate: Rate) -> Self {
        self.listener.set_max_rate(rate);
        self
    }

    /// Adds an alarm.
    #[must_use]
    pub fn alarm(self, alarm: Alarm) -> Self {
        self.listener.tracker.add_alarm(alarm);
        self
    }

    /// Sets the time in which a stopped listener still accepts, with [`Status::LameDuck`](crate::Status::LameDuck), before
    /// its drain begins. So a load balancer that reads the status stops first. The default is zero.
    #[must_use]
    pub fn lame_duck(self, time: Duration) -> Self {
        Self { lame_duck: time, ..self }
    }

    /// Sets the time that connections have to finish in a drain. The default is 10 s. `None` is no bound.
    #[must_use]
    pub fn drain_deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Self { drain_deadline: deadline.into(), ..self }
    }

    /// The listener as a child, to be started once at a time: a supervisor of connections, acceptors and drain.
    ///
    /// Its start fails when an address cannot be bound. The error is one line that says what to do.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let (id, listener) = (id.into(), self.clone());
        self.listener.tracker.set_name(id.clone());
        self.listener.supervisor.child_spec(id, move |context| {
            let ListenerRef { tracker, sockets, .. } = &listener.listener;
            listener.connections.check()?;
            tracker.apply(PhaseEvent::Start);
            if tracker.phase().listens() {
                BoundSocket::open_all(sockets, context.log())
                    .map_err(|error| StartError::from(error.to_string()))?;
            }
            Ok(listener.tree())
        })
    }

    /// Connections come first: under rest-for-one the exit of an acceptor does not stop them. The drain comes last, so it
    /// is stopped first, while acceptors and connections still run.
    fn tree(&self) -> Supervisor {
        let ListenerRef { tracker, sockets, .. } = &self.listener;
        let tree = Supervisor::new(Strategy::RestForOne).child(self.connections.child_spec("connections"));
        let tree = sockets.iter().enumerate().fold(tree, |tree, (number, socket)| {
            let id = if number == 0 { "acceptor".to_owned() } else { format!("acceptor {number}") };
            tree.child(Acceptor::for_connections(socket, &self.connections).child_spec(id))
        });
        let acceptors = Some(sockets.len());
        tree.child(drain::child_spec(
            "drain".into(),
            tracker.clone(),
            self.lame_duck,
            self.drain_deadline,
            acceptors,
        ))
    }

    /// A reference that queries and changes the listener while it runs.
    pub fn listener_ref(&self) -> ListenerRef {
        self.listener.clone()
    }

    /// The address of its first TCP socket, with the bound port. `None` before the first start.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addrs().into_iter().find_map(|address| address.as_ip())
    }

    /// The number of connections that count against the limit.
    pub fn active(&self) -> usize {
        self.listener.active()
    }
}

impl<P> Clone for Listener<P> {
    fn clone(&self) -> Self {
        Self {
            listener: self.listener.clone(),
            connections: self.connections.clone(),
            lame_duck: self.lame_duck,
            drain_deadline: self.drain_deadline,
        }
    }
}

impl<P> fmt::Debug for Listener<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("listener", &self.listener)
            .field("lame_duck", &self.lame_duck)
            .field("drain_deadline", &self.drain_deadline)
            .finish_non_exhaustive()
    }
}
