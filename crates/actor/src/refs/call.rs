//! Calls: a message, and the wait for its reply.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message};
use impresario_supervision::ExitReason;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cell::actor_ref::{ActorRef, FULL, NOT_AVAILABLE};
use crate::cell::mailbox::{Limit, PushError};
use crate::cell::{Pid, Signal};
use crate::refs::child_ref::ChildRef;

/// Default timeout of a call, as in OTP.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A call to an actor. It does nothing until it is awaited.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<A: Actor, M: Message> {
    target: Target<A>,
    message: M,
    timeout: Option<Duration>,
}

enum Target<A: Actor> {
    Actor(ActorRef<A>),
    Child { name: ChildRef<A>, wait: bool },
}

/// Why a call has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// No incarnation is running: not started yet, exited, or being restarted (OTP: `noproc`).
    NotAvailable,
    /// The queue is full.
    Full,
    /// No reply within the call's timeout (default 5 s). If the handler has not started, the message is
    /// discarded when it is taken from the queue. If it has started, it runs to completion and its reply is
    /// discarded.
    Timeout(Duration),
    /// The actor exited before it replied.
    Exit(ExitReason),
    /// The handler dropped the call without a reply, and the actor is running.
    NoReply,
}

impl<A: Actor<Context = Context<A>>> ActorRef<A> {
    /// Sends a message and waits for the reply, for 5 s by default (OTP: `gen_server:call`).
    ///
    /// The message is sent when the call is first polled.
    pub fn call<M>(&self, message: M) -> Call<A, M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        Call::to_actor(self.clone(), message)
    }
}

impl<A: Actor<Context = Context<A>>> ChildRef<A> {
    /// Sends a message to the current incarnation and waits for the reply; see [`ActorRef::call`]. Between two
    /// incarnations it fails immediately, or waits for the next one with [`Call::wait`].
    pub fn call<M>(&self, message: M) -> Call<A, M>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        Call::to_child(self.clone(), message)
    }
}

impl<A: Actor, M: Message> Call<A, M> {
    pub(crate) fn to_actor(actor: ActorRef<A>, message: M) -> Self {
        Self { target: Target::Actor(actor), message, timeout: Some(TIMEOUT) }
    }

    pub(crate) fn to_child(name: ChildRef<A>, message: M) -> Self {
        Self { target: Target::Child { name, wait: false }, message, timeout: Some(TIMEOUT) }
    }

    /// The timeout of the call. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits without a limit (OTP: `infinity`).
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// If no incarnation is running, waits for the next one instead of failing immediately. A call that one
    /// incarnation has taken is not repeated on the next. Has no effect on a call to an [`ActorRef`].
    pub fn wait(mut self) -> Self {
        if let Target::Child { wait, .. } = &mut self.target {
            *wait = true;
        }
        self
    }
}

impl<A, M> Call<A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    async fn run(target: Target<A>, mut message: M) -> Result<M::Result, CallError> {
        loop {
            let (actor, wait) = match &target {
                Target::Actor(actor) => (actor.clone(), false),
                Target::Child { name, wait: false } => (name.actor().ok_or(CallError::NotAvailable)?, false),
                Target::Child { name, wait: true } => (name.available().await, true),
            };
            let (reply_sender, reply) = oneshot::channel();
            message = match actor.push(message, Some(reply_sender), Limit::Bound) {
                Ok(()) => return Self::wait_reply(&actor, reply).await,
                Err((PushError::Full, _)) => return Err(CallError::Full),
                // The incarnation exited before it took the call from its queue: the next one may have it.
                Err((PushError::Closed, back)) if wait => back,
                Err((PushError::Closed, _)) => return Err(CallError::NotAvailable),
            };
        }
    }

    async fn wait_reply(
        actor: &ActorRef<A>,
        reply: oneshot::Receiver<M::Result>,
    ) -> Result<M::Result, CallError> {
        match reply.await {
            Ok(reply) => Ok(reply),
            Err(_) => Err(reply_dropped(actor.pid()).await),
        }
    }
}

/// A call was dropped without a reply: the actor has exited or is about to, or its handler dropped it.
async fn reply_dropped(pid: &Pid) -> CallError {
    let (reply_sender, seen) = oneshot::channel();
    pid.cell().signal(Signal::Ping(reply_sender));
    if seen.await.is_ok() {
        return CallError::NoReply;
    }
    CallError::Exit(pid.wait_exit().await)
}

impl<A, M> IntoFuture for Call<A, M>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    type Output = Result<M::Result, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { target, message, timeout: limit } = self;
        let call = Self::run(target, message);
        match limit {
            Some(limit) => {
                Box::pin(async move { timeout(limit, call).await.unwrap_or(Err(CallError::Timeout(limit))) })
            }
            None => Box::pin(call),
        }
    }
}

impl<A: Actor, M: Message> fmt::Debug for Call<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (actor, message) = (std::any::type_name::<A>(), std::any::type_name::<M>());
        write!(f, "Call<{actor}, {message}>({:?})", self.timeout)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAvailable => f.write_str(NOT_AVAILABLE),
            Self::Full => f.write_str(FULL),
            Self::Timeout(limit) => write!(f, "no reply within {limit:?}"),
            Self::Exit(reason) => write!(f, "the actor exited before it replied: {reason}"),
            Self::NoReply => f.write_str("the handler dropped the call without a reply"),
        }
    }
}

impl std::error::Error for CallError {}
