//! The stable name of a child whose lives come and go.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use actix::{Actor, Addr, Context, Handler, Message};
use impresario_supervision::ChildId;
use tokio::sync::watch;

use crate::cell::Pid;
use crate::cell::actor_ref::{ActorRef, CastError};
use crate::child::events::StartAck;
use crate::child::exit_guard::ExitGuard;
use crate::child::spawn::SpawnRequest;
use crate::child::spec::ChildSpec;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::context::destination::Destination;

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

impl ChildSpec {
    /// An actor, started on the supervisor's arbiter by a factory that runs anew for every life.
    ///
    /// The life counts as started when the actor's `started()` is done, with whatever it waits for by
    /// `ctx.wait()`. A panic or an `Err` in the factory is a failed start.
    pub fn actor<A, F>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(&ChildContext) -> Result<A, StartError> + Send + Sync + 'static,
    {
        ChildRef::new().child_spec(id, factory)
    }

    /// An actor whose factory takes its time: it connects, reads a file, asks another actor. Otherwise as
    /// [`actor`](Self::actor).
    ///
    /// The factory runs on the arbiter of the child, so its future need not be `Send`, and the supervisor serves
    /// requests meanwhile as its rules say: a static one starts one child at a time, a dynamic one all at once. The life
    /// exists already: told to stop, killed, ended by an exit signal or by its
    /// [start time-out](Self::start_timeout), its future is dropped where it waits.
    pub fn actor_async<A, F, M>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<A, StartError>> + 'static,
    {
        ChildRef::new().child_spec_async(id, factory)
    }
}

impl<A, M> Destination<M> for ChildRef<A>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn deliver(&self, message: M) {
        drop(self.cast(message));
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
