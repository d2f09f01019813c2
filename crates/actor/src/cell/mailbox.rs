//! The queue of messages of one incarnation of an actor.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::dev::MessageResponse;
use actix::dev::channel::channel;
use actix::{Actor, Addr, Handler, Message, WeakAddr};
use tokio::sync::oneshot::Sender;

use crate::panic::catch_panic;
use crate::sync::{AtomicU32, Mutex, lock};

/// Maximum number of messages in one poll. Then the actor yields to others on its thread.
const TURN_BUDGET: u32 = 256;

/// A bounded queue beside that of actix, which has neither a hard limit nor a length.
pub(crate) struct Mailbox<A: Actor> {
    /// Weak: a strong reference would cost each actor two more allocations.
    addr: WeakAddr<A>,
    /// `None` after the exit.
    queue: Mutex<Option<VecDeque<Box<dyn DynMessage<A>>>>>,
    /// Maximum number of queued messages for [`Limit::Bound`].
    limit: u32,
    /// Number of queued messages, readable without the lock.
    queued: AtomicU32,
    /// Rest of the budget of this poll. Only the actor's own task uses it.
    budget: AtomicU32,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The queue has reached its limit.
    Full,
    /// The actor has exited.
    Closed,
}

/// Which limit of the queue a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The limit of the mailbox.
    Bound,
    /// None: the number of these messages is bounded by their senders.
    Unbounded,
}

impl<A: Actor> Mailbox<A> {
    pub(crate) fn new(addr: WeakAddr<A>, limit: usize) -> Arc<Self> {
        let queue = Mutex::new(Some(VecDeque::new()));
        // `u32` halves the size; no machine holds more messages.
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let (queued, budget) = (AtomicU32::new(0), AtomicU32::new(TURN_BUDGET));
        Arc::new(Self { addr, queue, limit, queued, budget })
    }

    /// The address of actix's own queue. After the exit, it is an address with a closed channel.
    pub(crate) fn addr(&self) -> Addr<A> {
        self.addr.upgrade().unwrap_or_else(|| Addr::new(channel(1).0))
    }

    /// Queues a message at the end. `Ok(true)` means that the queue was empty: the caller wakes the actor's task. A longer
    /// queue is one that the task has not finished, so it needs no wake-up.
    ///
    /// # Errors
    ///
    /// Gives the message back if the queue is closed, or full within the limit.
    pub(crate) fn push<M>(
        &self,
        message: M,
        reply: Option<Sender<M::Result>>,
        limit: Limit,
    ) -> Result<bool, (PushError, M)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let limit = match limit {
            Limit::Bound => self.limit,
            Limit::Unbounded => u32::MAX,
        };
        match &mut *lock(&self.queue) {
            Some(queue) if queue.len() < limit as usize => {
                queue.push_back(Box::new(QueuedMessage { message, reply }));
                self.queued.store(queue.len() as u32, Ordering::Release);
                Ok(queue.len() == 1)
            }
            Some(_) => Err((PushError::Full, message)),
            None => Err((PushError::Closed, message)),
        }
    }

    pub(crate) fn pop(&self) -> Option<Box<dyn DynMessage<A>>> {
        // The sender of the first message wakes the actor afterwards, so no wake-up is missed here.
        if self.queued.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = lock(&self.queue);
        let queue = queue.as_mut()?;
        let message = queue.pop_front();
        self.queued.store(queue.len() as u32, Ordering::Release);
        message
    }

    /// Starts the budget of a new poll.
    pub(crate) fn reset_budget(&self) {
        self.budget.store(TURN_BUDGET, Ordering::Relaxed);
    }

    /// Takes one message from the budget; `false` when it is used up.
    pub(crate) fn consume_budget(&self) -> bool {
        let left = self.budget.load(Ordering::Relaxed);
        self.budget.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

/// A queued message of any type.
pub(crate) trait DynMessage<A: Actor>: Send {
    /// The type of the message.
    fn name(&self) -> &'static str;
    fn handle(self: Box<Self>, actor: &mut A, context: &mut A::Context);
}

/// A message, and the sender of its reply if it is a call.
struct QueuedMessage<M: Message> {
    message: M,
    reply: Option<Sender<M::Result>>,
}

impl<A, M> DynMessage<A> for QueuedMessage<M>
where
    A: Handler<M>,
    M: Message + Send,
    M::Result: Send,
{
    fn name(&self) -> &'static str {
        std::any::type_name::<M>()
    }

    fn handle(self: Box<Self>, actor: &mut A, context: &mut A::Context) {
        let Self { message, reply } = *self;
        // A call is not started if its caller has dropped its future.
        if reply.as_ref().is_none_or(|reply| !reply.is_closed()) {
            actor.handle(message, context).handle(context, reply);
        }
    }
}

/// A mailbox of an actor of any type.
pub(crate) trait AnyMailbox: Send + Sync {
    fn queued(&self) -> usize;
    /// Closes the queue and drops the queued messages.
    fn close(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<A: Actor> AnyMailbox for Mailbox<A> {
    fn queued(&self) -> usize {
        lock(&self.queue).as_ref().map_or(0, VecDeque::len)
    }

    fn close(&self) {
        let rest = lock(&self.queue).take();
        for message in rest.into_iter().flatten() {
            // The destructor of a message may panic.
            let _ = catch_panic(move || drop(message));
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
