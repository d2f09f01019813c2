//! The acceptor actor: the accept loop on one listening socket.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures::future::{Either, select};
use impresario_actor::{ChildContext, ChildId, ChildSpec, ExitReason};
use slog::Logger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

use super::backoff::AcceptBackoff;
use crate::connections::Connections;
use crate::connections::arbiters::{self, ArbiterSlot};
use crate::connections::reject::RejectError;
use crate::listen::bound_socket::BoundSocket;
use crate::listen::listen_socket::ListenSocket;
use crate::protocol::Protocol;
use crate::socket::accepted::Accepted;
use crate::socket::inner::ClaimOutcome;
use crate::tracker::ConnectionTracker;
use crate::tracker::alarm::FiredAlarm;
use crate::tracker::limits::RejectReason;
use crate::tracker::metrics::Counter;
use crate::tracker::permit::Permit;
use crate::tracker::phase::{Phase, PhaseEvent};
use crate::tracker::shared::ActiveGuard;
use crate::tracker::slot::MAX_IN_FLIGHT;

/// Accepts connections and hands them over: to [`Connections`], or to a function.
///
/// Under [`Policy::Queue`](crate::Policy::Queue) it accepts only while the tracker has a free permit. Under
/// [`Policy::Reject`](crate::Policy::Reject) it accepts always, and closes a connection for which no permit is free.
///
/// It accepts only while fewer than 16 connections are in flight: handed over, and neither claimed nor dropped. That
/// bound is for each arbiter of [`Connections`], or for the function.
#[derive(Clone)]
pub struct Acceptor {
    socket: Arc<BoundSocket>,
    tracker: ConnectionTracker,
    target: Arc<dyn Target>,
}

/// The receiver of the accepted connections.
pub(crate) trait Target: Send + Sync {
    /// Takes a connection. The error returns it.
    fn start(&self, accepted: Accepted) -> Result<(), RejectError>;

    /// The arbiters, which count their connections in flight. Empty for a function: the acceptor counts for it.
    fn slots(&self) -> &[ArbiterSlot];
}

impl<P: Protocol> Target for Connections<P> {
    fn start(&self, accepted: Accepted) -> Result<(), RejectError> {
        self.start(accepted)
    }

    fn slots(&self) -> &[ArbiterSlot] {
        Self::slots(self)
    }
}

struct Function<F>(F);

impl<F: Fn(Accepted) -> Result<(), RejectError> + Send + Sync> Target for Function<F> {
    fn start(&self, accepted: Accepted) -> Result<(), RejectError> {
        (self.0)(accepted)
    }

    fn slots(&self) -> &[ArbiterSlot] {
        &[]
    }
}

impl Acceptor {
    /// Accepts on a listening socket, with the limits of `tracker`, and calls `on_accept` with each connection. A connection
    /// that `on_accept` returns is closed.
    ///
    /// A drain closes the socket. After that the acceptor cannot start again in this process: its start fails with
    /// [`ListenError::Closed`](crate::ListenError::Closed).
    pub fn new(
        socket: ListenSocket,
        tracker: &ConnectionTracker,
        on_accept: impl Fn(Accepted) -> Result<(), RejectError> + Send + Sync + 'static,
    ) -> Self {
        let target = Arc::new(Function(on_accept));
        Self { socket: Arc::new(BoundSocket::inherited(socket)), tracker: tracker.clone(), target }
    }

    /// Accepts on a socket of a listener, for its connections.
    pub(crate) fn for_connections<P: Protocol>(
        socket: &Arc<BoundSocket>,
        connections: &Connections<P>,
    ) -> Self {
        let (tracker, target) = (connections.tracker().clone(), Arc::new(connections.clone()));
        Self { socket: Arc::clone(socket), tracker, target }
    }

    /// The acceptor as a child. A restart keeps the socket, unless accept(2) failed for good on it.
    pub fn child_spec(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::actor(id, move |context| {
            self.tracker.apply(PhaseEvent::Start);
            // A suspended listener stays suspended when its acceptor is restarted.
            let socket = if self.tracker.phase().accepts() { Some(self.open(context.log())?) } else { None };
            Ok(AcceptorActor { acceptor: self.clone(), socket, context: context.clone() })
        })
    }

    fn open(&self, log: &Logger) -> io::Result<RegisteredSocket> {
        register(self.socket.open(log).map_err(io::Error::other)?)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("socket", &self.socket)
            .field("tracker", &self.tracker)
            .finish_non_exhaustive()
    }
}

/// A listening socket that is registered with the reactor of this arbiter.
type RegisteredSocket = AsyncFd<Arc<ListenSocket>>;

#[expect(
    deprecated,
    reason = "the successor is unsafe for types that change their descriptor; a ListenSocket never does"
)]
fn register(socket: Arc<ListenSocket>) -> io::Result<RegisteredSocket> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// One incarnation of an acceptor.
struct AcceptorActor {
    acceptor: Acceptor,
    /// The socket until the actor has started; `None` in a suspended listener.
    socket: Option<RegisteredSocket>,
    context: ChildContext,
}

impl Actor for AcceptorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Counted here and not in the task: the drain, a later sibling, reads the count when it is started.
        let (accepting, socket) = (self.acceptor.tracker.accepting(), self.socket.take());
        let listening = socket.is_some().then(|| self.acceptor.tracker.listening());
        let (acceptor, log) = (self.acceptor.clone(), self.context.log().clone());
        let accept = async move {
            let _accepting = accepting;
            run_acceptor(&acceptor, socket.zip(listening), &log).await
        };
        ctx.spawn(accept.into_actor(self).map(|error, actor, ctx| {
            actor.context.set_exit_reason(ExitReason::Error(format!("cannot accept: {error}")));
            ctx.stop();
        }));
    }
}

/// Accepts while the phase of the tracker allows it. Returns the error that makes the listening socket unusable.
async fn run_acceptor(
    acceptor: &Acceptor,
    mut open: Option<(RegisteredSocket, ActiveGuard)>,
    log: &Logger,
) -> io::Error {
    let tracker = &acceptor.tracker;
    loop {
        if let Some((socket, listening)) = open.take() {
            {
                // `select` polls the phase first, so no connection is accepted after the phase has changed.
                let stopped = pin!(tracker.until_phase(|phase| !phase.accepts()));
                let accept = pin!(accept_loop(acceptor, &socket, log));
                if let Either::Right((error, _)) = select(stopped, accept).await {
                    // The restarted acceptor binds a new socket, unless this one is inherited.
                    acceptor.socket.close();
                    return error;
                }
            }
            if !tracker.phase().listens() {
                acceptor.socket.close();
            }
            // In this order: a task that waits until no socket is accepted on finds it closed.
            drop(socket);
            drop(listening);
        }
        tracker.until_phase(|phase| phase.accepts() || !phase.listens()).await;
        if tracker.phase().accepts() {
            match acceptor.open(log) {
                Ok(socket) => open = Some((socket, tracker.listening())),
                Err(error) => return error,
            }
        } else {
            // The socket was kept in a suspension, and the listener is closed or drained now.
            acceptor.socket.close();
            tracker.until_phase(Phase::listens).await;
        }
    }
}

async fn accept_loop(acceptor: &Acceptor, socket: &RegisteredSocket, log: &Logger) -> io::Error {
    let (tracker, target, mut backoff) = (&acceptor.tracker, &*acceptor.target, AcceptBackoff::new());
    let window = target.slots().is_empty().then(|| Arc::new(Semaphore::new(MAX_IN_FLIGHT)));
    loop {
        let in_flight = match &window {
            // The semaphore is never closed.
            Some(window) => Arc::clone(window).acquire_owned().await.ok(),
            None => {
                arbiters::wait_for_capacity(target.slots(), tracker, log).await;
                None
            }
        };
        let (accepted, admitted) = match accept(socket, tracker, &mut backoff, log).await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        // A connection that is not admitted is closed by its drop.
        let Ok(permit) = admitted else { continue };
        fire(tracker, log);
        let (entry, counted) = (permit.entry().cloned(), tracker.clone());
        let accepted = accepted.with_permit(permit).on_outcome(move |outcome| {
            // Also when another thread dropped it. A connection with an actor is counted by that actor.
            if outcome == ClaimOutcome::Dropped && !entry.is_some_and(|entry| entry.was_served()) {
                counted.count(Counter::RejectedRefused);
            }
            drop(in_flight);
        });
        if let Err(error) = target.start(accepted) {
            slog::warn!(log, "connection closed, no actor was started for it"; "reason" => %error);
        }
    }
}

/// Runs the functions of the alarms that are due, or logs them.
fn fire(tracker: &ConnectionTracker, log: &Logger) {
    for FiredAlarm { report, call } in tracker.fire_alarms() {
        match call {
            Some(call) => drop(actix::spawn(async move { call(report) })),
            None => slog::warn!(log, "many connections";
                "active" => report.active, "threshold" => report.threshold),
        }
    }
}

/// Accepts one connection and decides whether it is admitted.
///
/// # Errors
///
/// Those of the listening socket that no later attempt mends. After a transient error it tries again, with
/// [`AcceptBackoff`].
async fn accept(
    socket: &RegisteredSocket,
    tracker: &ConnectionTracker,
    backoff: &mut AcceptBackoff,
    log: &Logger,
) -> io::Result<(Accepted, Result<Permit, RejectReason>)> {
    loop {
        tracker.wait_for_capacity().await;
        tracker.wait_for_rate().await;
        // Permit and token are taken when a connection is in the queue: an idle acceptor holds none that another
        // acceptor of this tracker could use.
        let accept =
            |socket: &Arc<ListenSocket>| Ok(tracker.admit_next(|| socket.accept(), Accepted::peer_addr)?);
        match socket.async_io(Interest::READABLE, accept).await {
            Ok(Some(accepted)) => {
                backoff.succeeded(log);
                return Ok(accepted);
            }
            // Another acceptor of this tracker has taken the last permit or token.
            Ok(None) => {}
            Err(error) => backoff.wait(error, socket.get_ref(), tracker, log).await?,
        }
    }
}
