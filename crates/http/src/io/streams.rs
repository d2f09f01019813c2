//! The tasks that hyper starts for the streams of an HTTP/2 connection, polled by the connection's actor.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::FuturesUnordered;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// hyper's executor: queues tasks until [`Streams::poll`] takes them.
#[derive(Clone, Default)]
pub(crate) struct Spawner(Rc<RefCell<Vec<Task>>>);

/// The tasks of one connection. They are dropped with the connection's actor, which owns them.
///
/// Bound: the number of concurrent streams, which hyper enforces.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    new: Spawner,
    tasks: FuturesUnordered<Task>,
}

impl Streams {
    pub(crate) fn spawner(&self) -> Spawner {
        self.new.clone()
    }

    /// Whether no task is left, including those of upgraded streams.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Polls all tasks that are ready. Returns whether a task was added or has completed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            // The queue is emptied before tasks are polled, because a task may add tasks.
            let new = self.new.0.take();
            progress |= !new.is_empty();
            self.tasks.extend(new);
            match self.tasks.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => progress = true,
                Poll::Ready(None) | Poll::Pending if self.new.0.borrow().is_empty() => return progress,
                Poll::Ready(None) | Poll::Pending => {}
            }
        }
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        self.0.borrow_mut().push(Box::pin(future));
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}
