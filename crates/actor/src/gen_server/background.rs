//! Futures that run beside the messages of an actor and do not need its state.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::{Actor, ActorFuture, AsyncContext, Context};
use futures::Stream;
use futures::stream::FuturesUnordered;

/// Any number of futures as one future of an actor. The actor polls each of its own futures at every poll, but
/// polls these only when one of them was woken. They end with the actor.
#[derive(Clone, Default)]
pub(crate) struct BackgroundTasks(Rc<RefCell<TaskSet>>);

#[derive(Default)]
struct TaskSet {
    futures: FuturesUnordered<Pin<Box<dyn Future<Output = ()>>>>,
    /// Wakes the actor while this is one of its futures.
    waker: Option<Waker>,
}

impl BackgroundTasks {
    /// Adds a future. It must not call this function while it runs.
    pub(crate) fn run<A>(&self, future: impl Future<Output = ()> + 'static, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        let mut tasks = self.0.borrow_mut();
        tasks.futures.push(Box::pin(future));
        match &tasks.waker {
            // It has not been polled yet.
            Some(waker) => waker.wake_by_ref(),
            None => {
                tasks.waker = Some(Waker::noop().clone());
                ctx.spawn(self.clone());
            }
        }
    }
}

impl<A: Actor> ActorFuture<A> for BackgroundTasks {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut A, _: &mut A::Context, task: &mut TaskContext<'_>) -> Poll<()> {
        let tasks = &mut *self.0.borrow_mut();
        while let Poll::Ready(done) = Pin::new(&mut tasks.futures).poll_next(task) {
            if done.is_none() {
                tasks.waker = None;
                return Poll::Ready(());
            }
        }
        tasks.waker = Some(task.waker().clone());
        Poll::Pending
    }
}
