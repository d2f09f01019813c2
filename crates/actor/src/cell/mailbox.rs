//! The mailbox of an actor: a bounded queue of messages, and the message budget of one poll.

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

/// How many messages an actor handles in one poll before the other tasks of its arbiter run.
const TURN_BUDGET: u32 = 256;

/// The queue of the messages of one actor, beside actix's own queue, which has neither a hard limit nor a length.
pub(crate) struct Mailbox<A: Actor> {
    /// Weak: a strong address costs each actor two more allocations.
    addr: WeakAddr<A>,
    /// `None` after the exit.
    queue: Mutex<Option<VecDeque<Box<dyn DynMessage<A>>>>>,
    /// The most messages of a bounded push.
    bound: u32,
    /// The length of the queue, written under its lock and read without it.
    queued: AtomicU32,
    /// How many more messages this poll may handle. Only the actor's own task uses it.
    budget: AtomicU32,
}

/// Which limit a push obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The bound of the mailbox.
    Bound,
    /// None. For messages whose number is bounded by something else, such as the number of links or children.
    Unbounded,
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The queue has reached its bound.
    Full,
    /// The actor has exited.
    Closed,
}

impl<A: Actor> Mailbox<A> {
    /// An empty mailbox. A bound above `u32::MAX` counts as `u32::MAX`.
    pub(crate) fn new(addr: WeakAddr<A>, bound: usize) -> Arc<Self> {
        let queue = Mutex::new(Some(VecDeque::new()));
        let bound = u32::try_from(bound).unwrap_or(u32::MAX);
        let (queued, budget) = (AtomicU32::new(0), AtomicU32::new(TURN_BUDGET));
        Arc::new(Self { addr, queue, bound, queued, budget })
    }

    /// The address of actix's own queue. After the exit, it is one whose channel is closed.
    pub(crate) fn addr(&self) -> Addr<A> {
        self.addr.upgrade().unwrap_or_else(|| Addr::new(channel(1).0))
    }

    /// Appends a message. Returns whether it is the only one: then the caller has to wake the actor's task. If the queue
    /// was not empty, the task has not finished it and polls it again by itself.
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
            Limit::Bound => self.bound,
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

    /// Takes the next message.
    pub(crate) fn pop(&self) -> Option<Box<dyn DynMessage<A>>> {
        // A sender that makes the length one wakes the task afterwards, so reading a 0 too early loses no message.
        if self.queued.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = lock(&self.queue);
        let queue = queue.as_mut()?;
        let message = queue.pop_front();
        self.queued.store(queue.len() as u32, Ordering::Release);
        message
    }

    /// Sets the budget of a new poll: `TURN_BUDGET` messages.
    pub(crate) fn reset_budget(&self) {
        self.budget.store(TURN_BUDGET, Ordering::Relaxed);
    }

    /// Takes one message from the budget; `false` if it is used up.
    pub(crate) fn consume_budget(&self) -> bool {
        let left = self.budget.load(Ordering::Relaxed);
        self.budget.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

/// A queued message, with its type erased.
pub(crate) trait DynMessage<A: Actor>: Send {
    /// The name of the message type.
    fn name(&self) -> &'static str;
    /// Runs the actor's handler, and sends its result to the caller.
    fn handle(self: Box<Self>, actor: &mut A, context: &mut A::Context);
}

/// A queued message, and the reply sender of its caller; `None` for a cast.
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
        // The caller dropped its receiver, for example at a timeout: the call is not handled.
        if reply.as_ref().is_none_or(|reply| !reply.is_closed()) {
            actor.handle(message, context).handle(context, reply);
        }
    }
}

/// A mailbox, with the type of its actor erased.
pub(crate) trait AnyMailbox: Send + Sync {
    /// The number of queued messages.
    fn queued(&self) -> usize;
    /// Refuses messages from here on, and drops the queued ones.
    fn close(&self);
    /// For the downcast to `Mailbox<A>`.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<A: Actor> AnyMailbox for Mailbox<A> {
    fn queued(&self) -> usize {
        lock(&self.queue).as_ref().map_or(0, VecDeque::len)
    }

    fn close(&self) {
        let rest = lock(&self.queue).take();
        for message in rest.into_iter().flatten() {
            // A destructor in a message may panic. That must not stop the exit.
            let _ = catch_panic(move || drop(message));
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
