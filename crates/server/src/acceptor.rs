//! The actor that accepts.

use std::fmt;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use futures::future::{Either, select};
use impresario_actor::{ChildId, ChildSpec, Env, ExitReason, StartError};
use rustix::io::Errno;
use slog::Logger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::accept_error::{Class, class};
use crate::gate::Accepting;
use crate::held::Held;
use crate::window::Window;
use crate::{Accepted, Gate, ListenSocket, Refusal};

/// How many connections may be handed over without an answer yet. One would be enough, and as fast, while giver and
/// taker share a thread; to another thread or process each answer takes its way, and connections need not queue for it.
const HAND_OVERS: usize = 16;
/// How many accepts in a row may fail before a pause, when each says that only its own connection is lost.
const RETRIES: usize = 64;
/// How long to wait for descriptors or memory to be given back.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and hands them over: to [`Connections`](crate::Connections), or to whoever else takes them.
///
/// For each connection it waits for a permit of the gate, accepts, and hands over. It goes on at once, but never has
/// more than a few hand-overs without an answer, where claiming or dropping the connection is the answer.
#[derive(Clone)]
pub struct Acceptor {
    held: Arc<Held>,
    gate: Gate,
    take: Arc<Take>,
}

type Take = dyn Fn(Accepted) -> Result<(), Refusal> + Send + Sync;

impl Acceptor {
    /// Accepts on a socket that listens already, behind a gate, for `take`. A connection that `take` refuses is closed.
    ///
    /// A drain closes the socket. After that the acceptor cannot start again in this process.
    pub fn new(
        socket: ListenSocket,
        gate: &Gate,
        take: impl Fn(Accepted) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self::held(Arc::new(Held::inherited(socket)), gate, take)
    }

    pub(crate) fn held(
        held: Arc<Held>,
        gate: &Gate,
        take: impl Fn(Accepted) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self { held, gate: gate.clone(), take: Arc::new(take) }
    }

    /// The acceptor as a child. Its restarts bind nothing anew.
    pub fn child_spec(self, id: impl Into<ChildId>) -> ChildSpec {
        ChildSpec::actor(id, move |env| {
            self.gate.reopen();
            let socket = self.held.open(env.log()).map_err(|error| StartError::from(error.to_string()))?;
            Ok(Life { acceptor: self.clone(), socket: Some(register(socket)?), env: env.clone() })
        })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("held", &self.held).field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// A listening socket that the reactor of this arbiter watches.
type Watched = AsyncFd<Arc<ListenSocket>>;

#[expect(
    deprecated,
    reason = "the new one is unsafe for types that may change their descriptor; ours never does"
)]
fn register(socket: Arc<ListenSocket>) -> io::Result<Watched> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}

/// One life of an acceptor.
struct Life {
    acceptor: Acceptor,
    /// Until the life has begun.
    socket: Option<Watched>,
    env: Env,
}

impl Actor for Life {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(socket) = self.socket.take() else { return };
        // Counted from the start, so that whoever starts after it finds it counted.
        let accepting = self.acceptor.gate.accepting();
        let accept = until_drained(self.acceptor.clone(), socket, accepting, self.env.log().clone());
        ctx.spawn(accept.into_actor(self).map(|error, life, ctx| {
            life.env.set_exit_reason(ExitReason::Error(format!("cannot accept: {error}")));
            ctx.stop();
        }));
    }
}

/// Accepts until the listening socket is broken. Once the listener drains, closes it and does nothing any more.
async fn until_drained(acceptor: Acceptor, socket: Watched, accepting: Accepting, log: Logger) -> io::Error {
    let draining = acceptor.gate.draining();
    {
        // Draining is asked first, so nothing is accepted after it has begun.
        let accept = pin!(accept_all(&acceptor, &socket, &log));
        if let Either::Right((error, _)) = select(draining, accept).await {
            return error;
        }
    }
    acceptor.held.close();
    drop(socket);
    drop(accepting);
    pending().await
}

async fn accept_all(acceptor: &Acceptor, socket: &Watched, log: &Logger) -> io::Error {
    let window = Window::default();
    loop {
        let permit = acceptor.gate.room().await;
        window.room(HAND_OVERS).await;
        let accepted = match accept(socket, log).await {
            Ok(accepted) => accepted.with_permit(permit),
            Err(error) => return error,
        };
        let hand_over = window.begin();
        if let Err(refusal) = (acceptor.take)(accepted.on_outcome(move |_| drop(hand_over))) {
            slog::warn!(log, "connection refused"; "reason" => %refusal);
        }
    }
}

/// Accepts one connection. Errors that pass are waited for; the one that is returned does not.
async fn accept(socket: &Watched, log: &Logger) -> io::Result<Accepted> {
    let mut retries = 0;
    let mut paused = false;
    loop {
        let error = match socket.async_io(Interest::READABLE, |socket| Ok(socket.accept()?)).await {
            Ok(accepted) => {
                if paused {
                    slog::info!(log, "accepting again");
                }
                return Ok(accepted);
            }
            Err(error) => error,
        };
        // An error without a number is not the kernel's.
        let class = Errno::from_io_error(&error).map_or(Class::Stop, class);
        match class {
            Class::Stop => return Err(error),
            Class::Retry if retries < RETRIES => retries += 1,
            Class::Retry | Class::Pause => {
                if !paused {
                    slog::warn!(log, "cannot accept for now, trying again"; "reason" => %error);
                }
                (retries, paused) = (0, true);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
