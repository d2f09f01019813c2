//! A server: a listening socket and what serves its connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec, StartError, Strategy, Supervisor};

use crate::acceptor::Acceptor;
use crate::held::Held;
use crate::{Connections, Ends, Protocol};

/// How long connections may take to finish when the listener stops, if nothing else is said.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// A server: a listening socket and what serves its connections (OTP: `ranch:child_spec/5`).
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
/// A clone is the same listener, for asking where it listens and how busy it is.
pub struct Listener<P> {
    held: Arc<Held>,
    connections: Connections<P>,
    drain_deadline: Option<Duration>,
}

impl<P: Protocol> Listener<P> {
    /// A listener on a TCP address, `HOST:PORT`; with port 0 the kernel chooses one. Without a limit of connections,
    /// and with 10 s to drain.
    pub fn tcp(address: impl fmt::Display, protocol: P) -> Self {
        Self {
            held: Arc::new(Held::wanted(address.to_string())),
            connections: Connections::new(protocol),
            drain_deadline: Some(DRAIN_DEADLINE),
        }
    }

    /// How many connections there may be at a time: one hard number. Others wait in the kernel until one ends.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        Self { connections: self.connections.max_connections(limit), ..self }
    }

    /// How long connections may take to finish when the listener stops; `None` means as long as they like.
    #[must_use]
    pub fn drain_deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Self { drain_deadline: deadline.into(), ..self }
    }

    /// The listener as a child, to be started once: a supervisor of connections, acceptors and drain.
    ///
    /// Its start fails, with a line that says what to do, when the address cannot be had.
    pub fn child_spec(&self, id: impl Into<ChildId>) -> ChildSpec {
        let listener = self.clone();
        ChildSpec::supervisor(id, move |env| {
            listener.held.open(env.log()).map_err(|error| StartError::from(error.to_string()))?;
            Ok(listener.tree())
        })
    }

    /// Connections first, so that nothing but their own supervisor's death costs them. Drain last, so that it is
    /// stopped first.
    fn tree(&self) -> Supervisor {
        let connections = self.connections.clone();
        let take = move |accepted| connections.start(accepted);
        let acceptor = Acceptor::held(Arc::clone(&self.held), self.connections.gate(), take);
        Supervisor::new(Strategy::RestForOne)
            .child(self.connections.child_spec("connections"))
            .child(acceptor.child_spec("acceptors"))
            .child(self.connections.drain_spec("drain", self.drain_deadline))
    }

    /// Where it listens: the true port, from its first start on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.held.local_addr()
    }

    /// How many connections it has.
    pub fn active(&self) -> usize {
        self.connections.gate().active()
    }

    /// How its connections that are over ended.
    pub fn ends(&self) -> Ends {
        self.connections.ends()
    }
}

impl<P> Clone for Listener<P> {
    fn clone(&self) -> Self {
        Self {
            held: Arc::clone(&self.held),
            connections: self.connections.clone(),
            drain_deadline: self.drain_deadline,
        }
    }
}

impl<P> fmt::Debug for Listener<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("held", &self.held)
            .field("connections", &self.connections)
            .field("drain_deadline", &self.drain_deadline)
            .finish()
    }
}
