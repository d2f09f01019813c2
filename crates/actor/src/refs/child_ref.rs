//! A reference to a child that follows its restarts.

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

/// Refers to the slot of a child, not to one incarnation: after a restart it resolves to the new one (OTP: a
/// registered name, or `via`).
///
/// The mailbox is lost at a restart, as in OTP: the new incarnation does not get messages that were sent to the
/// old one.
#[doc(alias = "via")]
pub struct ChildRef<A: Actor>(Arc<watch::Sender<Option<ActorRef<A>>>>);

impl<A: Actor<Context = Context<A>>> ChildRef<A> {
    /// A reference that resolves to no actor until a spec made from it is started.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// A spec of a child that this reference resolves to. Otherwise as [`ChildSpec::actor`].
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, factory: F) -> ChildSpec
    where
        F: Fn(&ChildContext) -> Result<A, StartError> + Send + Sync + 'static,
    {
        let name = self.clone();
        ChildSpec::worker(id.into(), move |env, guard| {
            SpawnRequest { env, guard, ack: true, on_start: |actor| name.set_current(actor) }.spawn(&factory);
        })
    }

    /// The same with an async factory. Otherwise as [`ChildSpec::actor_async`].
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

    /// The same for a supervisor, which acknowledges its start when its children are ready.
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

    /// The same with an async factory.
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

    /// The address of the current incarnation, or of the last one. `None` before the first.
    pub fn addr(&self) -> Option<Addr<A>> {
        self.0.borrow().as_ref().map(ActorRef::addr)
    }

    /// The current incarnation, or `None` between two of them.
    pub fn actor(&self) -> Option<ActorRef<A>> {
        self.0.borrow().clone().filter(|actor| actor.pid().is_alive())
    }

    /// The pid of the current incarnation.
    #[doc(alias = "whereis")]
    pub fn pid(&self) -> Option<Pid> {
        self.actor().map(|actor| actor.pid().clone())
    }

    /// Waits without a limit until an incarnation is running.
    pub async fn available(&self) -> ActorRef<A> {
        let mut slot = self.0.subscribe();
        loop {
            if let Some(actor) = self.actor() {
                return actor;
            }
            if slot.changed().await.is_err() {
                // `self` holds the other end, so the channel is open.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends a message to the current incarnation and does not wait; see [`ActorRef::cast`].
    ///
    /// # Errors
    ///
    /// Returns the message when the queue is full or no incarnation is running. To wait for one, use
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
    /// A child that runs an actor on the supervisor's arbiter. The factory is called for every incarnation.
    ///
    /// The child is ready when the actor's `started()` has returned and all it waits for with `ctx.wait()` is
    /// done. A panic or an `Err` of the factory is a failed start.
    pub fn actor<A, F>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(&ChildContext) -> Result<A, StartError> + Send + Sync + 'static,
    {
        ChildRef::new().child_spec(id, factory)
    }

    /// A child with an async factory, which can connect, read a file, or call another actor. Otherwise as
    /// [`actor`](Self::actor).
    ///
    /// The factory runs on the arbiter of the child, so its future need not be `Send`. Meanwhile a static
    /// supervisor starts no other child, and a dynamic one starts others in parallel. The pid exists already: a
    /// stop, a kill, an exit signal or the [start timeout](Self::start_timeout) drops the future where it
    /// waits.
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
