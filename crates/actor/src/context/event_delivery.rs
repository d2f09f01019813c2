//! The actor future that hands queued events to an actor, for monitors and group monitors.

use std::pin::Pin as StdPin;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::MessageResponse;
use actix::{Actor, ActorFuture, AsyncContext, Context, Handler, Message};

/// How many events an actor handles in a row before the other actors of its arbiter are polled.
const TURN_BUDGET: usize = 256;

/// A queue of events for one actor. Its destructor ends the monitor.
pub(crate) trait EventSource: Unpin {
    type Event: Message;
    /// Registers the task to be woken by the next event.
    fn register(&self, waker: &Waker);
    /// Takes the next event.
    fn pop(&self) -> Option<Self::Event>;
}

/// Hands the events of a queue to the actor, as messages. It never completes.
pub(crate) struct EventDelivery<S>(pub(crate) S);

impl<A, S> ActorFuture<A> for EventDelivery<S>
where
    S: EventSource,
    A: Actor<Context = Context<A>> + Handler<S::Event>,
{
    type Output = ();

    fn poll(
        self: StdPin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.0.register(task.waker());
        for _ in 0..TURN_BUDGET {
            // What the actor waits for by `ctx.wait` comes first. This is polled again after that.
            if ctx.waiting() {
                return Poll::Pending;
            }
            let Some(event) = self.0.pop() else { return Poll::Pending };
            actor.handle(event, ctx).handle(ctx, None);
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
