//! Calls: a message, and the wait for its answer.

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

/// How long a call waits unless told otherwise, as in OTP.
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

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// There is no such life now: it has not been started, it is over, or it is being restarted (OTP: `noproc`).
    NotAvailable,
    /// The queue is full.
    Full,
    /// No answer in this time. The message may still be handled, unless nobody had begun with it; an answer that comes
    /// late is dropped.
    Timeout(Duration),
    /// The life ended before it answered.
    Exit(ExitReason),
    /// The handler dropped the call without an answer, and lives.
    NoReply,
}

impl<A: Actor<Context = Context<A>>> ActorRef<A> {
    /// Sends a message and waits for the answer, for 5 s unless told otherwise (OTP: `gen_server:call`).
    ///
    /// Nothing is sent before it is awaited.
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
    /// Sends a message to the present life and waits for the answer; see [`ActorRef::call`]. Between two lives it fails at
    /// once, or waits for the next with [`Call::wait`].
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

    /// How long to wait for the answer, and for a life to call. The default is 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for the answer for any time (OTP: `infinity`).
    pub fn no_timeout(mut self) -> Self {
        self.timeout = None;
        self
    }

    /// If the child is not there, being restarted for example, waits for its next life instead of failing at once. A call
    /// that was made to one life is not made again to the next. Has no effect on a call to one certain life.
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
                // It ended a moment ago, and has not seen the call: the next one may have it.
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

/// A call was dropped without an answer: because the life ended, or is just about to, or because its handler did so.
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
            Self::Timeout(limit) => write!(f, "no answer within {limit:?}"),
            Self::Exit(reason) => write!(f, "the actor ended before it answered: {reason}"),
            Self::NoReply => f.write_str("the actor dropped the call without an answer"),
        }
    }
}

impl std::error::Error for CallError {}
