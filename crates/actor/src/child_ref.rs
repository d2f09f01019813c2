//! The stable name of a child whose lives come and go.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, Message};
use impresario_supervision::ChildId;
use tokio::sync::watch;

use crate::birth::SpawnRequest;
use crate::call::{Call, CastError};
use crate::notify::{ExitGuard, StartAck};
use crate::spec::ChildSpec;
use crate::{ActorRef, ChildContext, Pid, StartError};

/// Names the slot of a child, not one of its lives: after a restart it leads to the new one (OTP: a registered name, or
/// `via`).
///
/// The mailbox is lost with a life, as in OTP: messages to the old one are not handled by the new one.
#[doc(alias = "via")]
pub struct ChildRef<A: Actor>(Arc<watch::Sender<Option<ActorRef<A>>>>);

impl<A: Actor<Context = Context<A>>> ChildRef<A> {
    /// A name that leads nowhere until a spec made from it is started.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// A child that this name leads to. Otherwise as [`ChildSpec::actor`].
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, factory: F) -> ChildSpec
    where
        F: Fn(&ChildContext) -> Result<A, StartError> + Send + Sync + 'static,
    {
        let name = self.clone();
        ChildSpec::worker(id.into(), move |env, guard| {
            SpawnRequest { env, guard, ack: true, on_start: |actor| name.set_current(actor) }.spawn(&factory);
        })
    }

    /// A child that this name leads to, made in time. Otherwise as [`ChildSpec::actor_async`].
    pub fn child_spec_async<F, M>(&self, id: impl Into<ChildId>, factory: F) -> ChildSpec
    where
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<A, StartError>> + 'static,
    {
        let name = self.clone();
        ChildSpec::worker(id.into(), move |env, guard| {
            let name = name.clone();
            SpawnRequest { env, guard, ack: true, on_start: move |actor| name.set_current(actor) }
                .spawn_async(&factory);
        })
    }

    /// A supervisor that this name leads to. It says by the ack when it is ready: after its children.
    pub(crate) fn supervisor_spec<F>(&self, id: ChildId, make: F) -> ChildSpec
    where
        F: Fn(&ChildContext, StartAck) -> Result<A, StartError> + Send + Sync + 'static,
    {
        let name = self.clone();
        ChildSpec::nested(id, move |env, guard: ExitGuard| {
            let ack = guard.ack();
            SpawnRequest { env, guard, ack: false, on_start: |actor| name.set_current(actor) }
                .spawn(|env| make(env, ack));
        })
    }

    /// The same, made in time.
    pub(crate) fn supervisor_spec_async<F, M>(&self, id: ChildId, make: F) -> ChildSpec
    where
        F: Fn(ChildContext, StartAck) -> M + Send + Sync + 'static,
        M: Future<Output = Result<A, StartError>> + 'static,
    {
        let name = self.clone();
        ChildSpec::nested(id, move |env, guard: ExitGuard| {
            let (name, ack) = (name.clone(), guard.ack());
            let on_start = move |actor| name.set_current(actor);
            SpawnRequest { env, guard, ack: false, on_start }.spawn_async(|env| make(env, ack));
        })
    }

    pub(crate) fn set_current(&self, actor: ActorRef<A>) {
        self.0.send_replace(Some(actor));
    }

    /// The address of the present life, or of the last one. `None` before the first.
    pub fn addr(&self) -> Option<Addr<A>> {
        self.0.borrow().as_ref().map(ActorRef::addr)
    }

    /// The present life, or `None` between two of them.
    pub fn actor(&self) -> Option<ActorRef<A>> {
        self.0.borrow().clone().filter(|actor| actor.pid().is_alive())
    }

    /// Which life it leads to.
    #[doc(alias = "whereis")]
    pub fn pid(&self) -> Option<Pid> {
        self.actor().map(|actor| actor.pid().clone())
    }

    /// Waits until there is a life, for any time.
    pub async fn available(&self) -> ActorRef<A> {
        let mut slot = self.0.subscribe();
        loop {
            if let Some(actor) = self.actor() {
                return actor;
            }
            if slot.changed().await.is_err() {
                // The other end is `self`, so this cannot be.
                std::future::pending::<()>().await;
            }
        }
    }

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

    /// Sends a message to the present life and does not wait; see [`ActorRef::cast`].
    ///
    /// # Errors
    ///
    /// Gives the message back when the queue is full or there is no life now. To wait for one, use
    /// [`available`](Self::available).
    pub fn cast<M>(&self, message: M) -> Result<(), CastError<M>>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        match &*self.0.borrow() {
            Some(actor) => actor.cast(message),
            None => Err(CastError::NotAvailable(message)),
        }
    }
}

impl<A: Actor<Context = Context<A>>> Default for ChildRef<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Actor> Clone for ChildRef<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for ChildRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildRef<{}>", std::any::type_name::<A>())
    }
}
