//! The typed reference to one incarnation of an actor.

use std::fmt;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, Message};

use crate::cell::Pid;
use crate::cell::mailbox::{Limit, Mailbox, PushError};

/// Why a message was not accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CastError<M> {
    /// The actor has exited or is not started.
    NotAvailable(M),
    /// The queue is full.
    Full(M),
}

/// The text of [`CastError`] and [`CallError`](crate::CallError) for an actor that does not run.
pub(crate) const NOT_AVAILABLE: &str = "the actor is not available: it is down or being restarted";
/// Their text for a full mailbox.
pub(crate) const FULL: &str = "the queue of the actor is full";

/// A typed reference to one incarnation of an actor. For a reference that survives restarts, see
/// [`ChildRef`](crate::ChildRef).
///
/// It holds the actor's [`Pid`] and its mailbox. The mailbox has a length and a hard limit. Messages to a plain `Addr` are
/// queued by actix, which has neither. Each queue keeps its order; the actor reads them alternately.
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

    /// The actix address of the same incarnation. The limit of the mailbox does not apply to it.
    pub fn addr(&self) -> Addr<A> {
        self.mailbox.addr()
    }

    /// Sends a message without a reply, and does not wait (OTP: `gen_server:cast`).
    ///
    /// # Errors
    ///
    /// [`CastError::Full`] if the mailbox is full, [`CastError::NotAvailable`] if the actor has exited. Both return the
    /// message. An accepted message is handled unless the actor exits first.
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

    /// Queues a message and wakes the actor's task if it has to.
    pub(crate) fn push<M>(
        &self,
        message: M,
        reply: Option<tokio::sync::oneshot::Sender<M::Result>>,
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

    /// Sends a message past the bound of the mailbox, for senders whose number of messages is bounded. It is dropped if the
    /// actor has exited.
    pub(crate) fn push_unbounded<M>(&self, message: M)
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        drop(self.push(message, None, Limit::Unbounded));
    }
}

impl Pid {
    /// A typed reference, if the process is an actor of type `A` and has not exited.
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
