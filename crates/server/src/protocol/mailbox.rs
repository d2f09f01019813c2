//! Messages to a connection from other actors.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use impresario_actor::CastError;

use super::next::Next;
use crate::socket::Socket;

/// The message queue of one connection. It exists once it is [opened](Self::open).
pub struct Mailbox<H>(Option<Arc<Queue<H>>>);

/// A handle of a connection, for messages that its handler [receives](super::receive::Receive). Clone is cheap;
/// it is `Send`.
pub struct ConnectionRef<H>(Arc<Queue<H>>);

struct Queue<H> {
    state: Mutex<QueueState<H>>,
    limit: usize,
    owner: AtomicWaker,
}

struct QueueState<H> {
    waiting: VecDeque<BoxedMessage<H>>,
    closed: bool,
}

/// A message with the code that delivers it.
pub(crate) type BoxedMessage<H> = Box<dyn DeliverMessage<H> + Send>;

pub(crate) type Delivery<'a> = Pin<Box<dyn Future<Output = io::Result<Next>> + 'a>>;

pub(crate) trait DeliverMessage<H> {
    fn deliver<'a>(self: Box<Self>, handler: &'a mut H, socket: &'a mut Socket) -> Delivery<'a>;
}

impl<H> Mailbox<H> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// A handle of the connection, through which others [cast](ConnectionRef::cast) messages. At most `limit`
    /// messages are queued. A second call returns a handle of the same queue, with the first limit.
    pub fn open(&mut self, limit: usize) -> ConnectionRef<H> {
        let queue = self.0.get_or_insert_with(|| {
            let state = QueueState { waiting: VecDeque::new(), closed: false };
            Arc::new(Queue { state: Mutex::new(state), limit, owner: AtomicWaker::new() })
        });
        ConnectionRef(Arc::clone(queue))
    }

    /// The next message; always `Pending` while the mailbox is not open.
    pub(crate) fn poll_message(&self, cx: &Context<'_>) -> Poll<BoxedMessage<H>> {
        let Some(queue) = &self.0 else { return Poll::Pending };
        // Register first, read second: a message that arrives in between wakes the task again.
        queue.owner.register(cx.waker());
        queue.lock().waiting.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<H> ConnectionRef<H> {
    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Queues a message, unless the connection is closed or the queue is full.
    pub(super) fn push<M>(
        &self,
        message: M,
        into_boxed: impl FnOnce(M) -> BoxedMessage<H>,
    ) -> Result<(), CastError<M>> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(CastError::NotAvailable(message));
        }
        if state.waiting.len() >= self.0.limit {
            return Err(CastError::Full(message));
        }
        state.waiting.push_back(into_boxed(message));
        drop(state);
        self.0.owner.wake();
        Ok(())
    }
}

impl<H> Queue<H> {
    /// Messages are added and removed as a whole, so a poisoned lock still holds a valid queue.
    fn lock(&self) -> MutexGuard<'_, QueueState<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Drop for Mailbox<H> {
    fn drop(&mut self) {
        let Some(queue) = &self.0 else { return };
        let waiting = {
            let mut state = queue.lock();
            state.closed = true;
            std::mem::take(&mut state.waiting)
        };
        // Outside of the lock: the destructor of a message may itself cast to this connection.
        drop(waiting);
    }
}

impl<H> Clone for ConnectionRef<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> fmt::Debug for ConnectionRef<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionRef<{}>", std::any::type_name::<H>())
    }
}

impl<H> fmt::Debug for Mailbox<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.0.is_some()).finish()
    }
}
