//! What runs beside the messages of an actor and does not need it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::{Actor, ActorFuture, AsyncContext, Context};
use futures::Stream;
use futures::stream::FuturesUnordered;

/// Any number of futures, as one of an actor: it looks at all its own at each of its turns, and at these when they have
/// something to say. They end with it.
#[derive(Clone, Default)]
pub(crate) struct BackgroundTasks(Rc<RefCell<TaskSet>>);

#[derive(Default)]
struct TaskSet {
    futures: FuturesUnordered<Pin<Box<dyn Future<Output = ()>>>>,
    /// How the actor is woken, while this is one of its futures.
    waker: Option<Waker>,
}

impl BackgroundTasks {
    /// Runs one more. It must not come back to this while it runs.
    pub(crate) fn run<A>(&self, future: impl Future<Output = ()> + 'static, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        let mut tasks = self.0.borrow_mut();
        tasks.futures.push(Box::pin(future));
        match &tasks.waker {
            // It has not been looked at yet.
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
