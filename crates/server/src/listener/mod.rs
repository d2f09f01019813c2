//! A listener as a tree of actors: the supervisor of its connections, its acceptors, and the drain.
//!
//! [`Listener`] builds the tree, [`ListenerRef`](listener_ref::ListenerRef) asks and changes it while it runs. This
//! folder puts the others together; no other folder knows it.

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

/// How long connections may take to finish when the listener stops, if nothing else is said.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A server: sockets that listen and what serves their connections (OTP: `ranch:child_spec/5`).
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
/// It is bound when it first starts, and keeps its port from then on. When it stops it accepts no more, asks its
/// connections to leave, and closes those that have not by the deadline.
///
/// While it runs it is asked and changed by its [`ListenerRef`].
pub struct Listener<P> {
    listener: ListenerRef,
    connections: Connections<P>,
    lame_duck: Duration,
    drain_deadline: Option<Duration>,
}

impl<P: Protocol> Listener<P> {
    /// A listener on a TCP address, `HOST:PORT`; with port 0 the kernel chooses one. Without a limit of connections,
    /// and with 10 s to drain.
    pub fn tcp(address: impl fmt::Display, protocol: P) -> Self {
        Self::on(Endpoint::tcp(address), protocol)
    }

    /// A listener on a unix socket; see [`Endpoint::unix`].
    pub fn unix(path: impl Into<PathBuf>, protocol: P) -> Self {
        Self::on(Endpoint::unix(path), protocol)
    }

    /// A listener on any endpoint: `"HOST:PORT"`, `"unix:PATH"`, or a socket that listens already.
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

    /// One more endpoint, with an acceptor of its own. Limits, drain and all else are for all of them together.
    #[must_use]
    pub fn add_endpoint(mut self, endpoint: impl Into<Endpoint>) -> Self {
        self.listener.sockets.push(Arc::new(BoundSocket::new(endpoint.into())));
        self
    }

    /// Serves connections on so many arbiters, each a thread with a supervisor of connections; see
    /// [`Connections::arbiters`]. The default is 0: all on the arbiter of the listener.
    #[must_use]
    pub fn arbiters(mut self, count: usize) -> Self {
        self.connections = self.connections.arbiters(count);
        self.listener.slots = Arc::clone(self.connections.slots());
        self
    }

    /// How many connections there may be at a time: one hard number, for all sockets and arbiters. The default is any;
    /// with 0 nobody comes in until the limit is raised.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        self.listener.set_max_connections(limit);
        self
    }

    /// What happens to those for whom there is no room. The default is that they wait in the kernel until one ends.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.listener.set_policy(policy);
        self
    }

    /// How many connections one peer may have; see [`ListenerRef::set_max_connections_per_peer`].
    #[must_use]
    pub fn max_connections_per_peer(self, limit: usize) -> Self {
        self.listener.set_max_connections_per_peer(limit);
        self
    }

    /// How many connections may come a second. The default is any.
    #[must_use]
    pub fn max_rate(self, rate: Rate) -> Self {
        self.listener.set_max_rate(rate);
        self
    }

    /// One more alarm.
    #[must_use]
    pub fn alarm(self, alarm: Alarm) -> Self {
        self.listener.tracker.add_alarm(alarm);
        self
    }

    /// For how long it goes on to accept when it is stopped, while its status says that it will leave, so that load
    /// balancers look elsewhere first. The default is not at all.
    #[must_use]
    pub fn lame_duck(self, time: Duration) -> Self {
        Self { lame_duck: time, ..self }
    }

    /// How long connections may take to finish when the listener stops; `None` means as long as they like.
    #[must_use]
    pub fn drain_deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Self { drain_deadline: deadline.into(), ..self }
    }

    /// The listener as a child, to be started once: a supervisor of connections, acceptors and drain.
    ///
    /// Its start fails, with a line that says what to do, when an address cannot be had.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let listener = self.clone();
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

    /// Connections first, so that nothing but their own supervisor's death costs them. Drain last, so that it is
    /// stopped first.
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

    /// The name by which it is asked and changed while it runs.
    pub fn listener_ref(&self) -> ListenerRef {
        self.listener.clone()
    }

    /// Where it listens: the true port of its first TCP socket, from its first start on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addrs().into_iter().find_map(|address| address.as_ip())
    }

    /// How many connections it has that count against the limit.
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
