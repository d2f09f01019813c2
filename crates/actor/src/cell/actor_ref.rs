//! A handle of one incarnation of an actor, for calls and casts.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, Message};
use tokio::sync::oneshot::Sender;

use crate::cell::Pid;
use crate::cell::mailbox::{Limit, Mailbox, PushError};

/// Why a message was not accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CastError<M> {
    /// No incarnation is running.
    NotAvailable(M),
    /// The queue is full.
    Full(M),
}

/// The text of [`CastError`] and [`CallError`](crate::CallError) for an actor that does not run.
pub(crate) const NOT_AVAILABLE: &str = "the actor is not available: it is down or being restarted";
/// Their text for a full queue.
pub(crate) const FULL: &str = "the queue of the actor is full";

/// A handle of one incarnation of an actor. After a restart it is closed; [`ChildRef`](crate::ChildRef) follows
/// restarts.
///
/// It has the actor's [`Pid`] and its type. Its messages wait in a queue with a length and a hard limit.
/// Messages to a plain `Addr` wait in actix's own queue, which has neither. Each queue keeps its order; the
/// actor reads them alternately.
pub struct ActorRef<A: Actor> {
    pid: Pid,
    mailbox: Arc<Mailbox<A>>,
}

impl<A: Actor<Context = Context<A>>> ActorRef<A> {
    pub(crate) fn new(pid: Pid, mailbox: Arc<Mailbox<A>>) -> Self {
        Self { pid, mailbox }
    }

    /// The pid of the incarnation.
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// The actix address of the same incarnation. It bypasses the limit of the queue.
    pub fn addr(&self) -> Addr<A> {
        self.mailbox.addr()
    }

    /// Sends a message and does not wait (OTP: `gen_server:cast`).
    ///
    /// # Errors
    ///
    /// Returns the message when the queue is full or the actor has exited. An accepted message is handled,
    /// unless the actor exits first.
    pub fn cast<M>(&self, message: M) -> Result<(), CastError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.push(message, None, Limit::Bound).map_err(|(error, message)| match error {
            PushError::Full => CastError::Full(message),
            PushError::Closed => CastError::NotAvailable(message),
        })
    }

    /// Puts a message into the mailbox and wakes the actor's task if needed; see [`Mailbox::push`].
    pub(crate) fn push<M>(
        &self,
        message: M,
        reply: Option<Sender<M::Result>>,
        limit: Limit,
    ) -> Result<(), (PushError, M)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        if self.mailbox.push(message, reply, limit)? {
            self.pid.cell().wake();
        }
        Ok(())
    }
}

impl Pid {
    /// The handle of a running actor with this pid, if it is an `A`.
    pub fn actor<A: Actor<Context = Context<A>>>(&self) -> Option<ActorRef<A>> {
        Some(ActorRef::new(self.clone(), self.cell().mailbox()?))
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self { pid: self.pid.clone(), mailbox: Arc::clone(&self.mailbox) }
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorRef<{}>({})", std::any::type_name::<A>(), self.pid.number())
    }
}

impl<M> CastError<M> {
    /// The message that was not accepted.
    pub fn into_message(self) -> M {
        match self {
            Self::NotAvailable(message) | Self::Full(message) => message,
        }
    }
}

impl<M> fmt::Debug for CastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAvailable(_) => "NotAvailable(..)",
            Self::Full(_) => "Full(..)",
        })
    }
}

impl<M> fmt::Display for CastError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAvailable(_) => NOT_AVAILABLE,
            Self::Full(_) => FULL,
        })
    }
}

impl<M> std::error::Error for CastError<M> {}
