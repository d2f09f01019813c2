//! Cancellable futures of an actor.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, ActorFuture, AsyncContext, Context, SpawnHandle};

/// Handle of a future that runs beside the messages of an actor. Dropping it does not cancel the future.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    handle: SpawnHandle,
    cancelled: Arc<AtomicBool>,
}

impl TaskHandle {
    /// Runs a future beside the messages.
    pub(crate) fn spawn<A>(future: impl ActorFuture<A, Output = ()> + 'static, ctx: &mut Context<A>) -> Self
    where
        A: Actor<Context = Context<A>>,
    {
        let cancelled = Arc::<AtomicBool>::default();
        let future = Cancellable { future: Box::pin(future), cancelled: Arc::clone(&cancelled) };
        Self { handle: ctx.spawn(future), cancelled }
    }

    /// Cancels the future. It is not polled any more, and is dropped at the next poll of the actor.
    pub(crate) fn cancel<A>(&self, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        // actix may poll a cancelled future once more before it drops it.
        self.cancelled.store(true, Ordering::Relaxed);
        ctx.cancel_future(self.handle);
    }
}

struct Cancellable<F> {
    future: Pin<Box<F>>,
    cancelled: Arc<AtomicBool>,
}

impl<A: Actor, F: ActorFuture<A, Output = ()>> ActorFuture<A> for Cancellable<F> {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut A::Context,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.future.as_mut().poll(actor, ctx, task)
    }
}
