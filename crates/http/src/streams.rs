//! The streams of one HTTP/2 connection, run by the connection's actor.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::stream::FuturesUnordered;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Where hyper puts what is to be done for a stream. It is done by whoever polls [`Streams`].
#[derive(Clone, Default)]
pub(crate) struct Spawner(Rc<RefCell<Vec<Task>>>);

/// What is being done for the streams of a connection. It ends with the connection's actor, because it belongs to it.
///
/// Their number is bounded by that of concurrent streams, which hyper enforces.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    new: Spawner,
    tasks: FuturesUnordered<Task>,
}

impl Streams {
    pub(crate) fn spawner(&self) -> Spawner {
        self.new.clone()
    }

    /// Whether nothing is to be done, not even for a stream that was upgraded.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Does what can be done, and says whether there was anything.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            // Taken out first: a task may put more in.
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
