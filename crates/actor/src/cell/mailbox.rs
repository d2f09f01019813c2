//! Where messages wait for one life of an actor.

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

/// After so many messages in one turn an actor lets others have theirs.
const TURN_BUDGET: u32 = 256;
/// No turn has so many left.
const POISONED: u32 = u32::MAX;

/// A queue of its own beside that of actix, which has neither a hard limit nor a length.
pub(crate) struct Mailbox<A: Actor> {
    /// Weak, since a strong one would cost each actor two allocations more.
    addr: WeakAddr<A>,
    queue: Mutex<Option<VecDeque<Box<dyn DynMessage<A>>>>>,
    limit: u32,
    /// How many messages wait, as far as one knows without the lock.
    queued: AtomicU32,
    /// What is left of the turn. Only the actor's own task uses it.
    budget: AtomicU32,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    Full,
    Closed,
}

impl<A: Actor> Mailbox<A> {
    pub(crate) fn new(addr: WeakAddr<A>, limit: usize) -> Arc<Self> {
        let queue = Mutex::new(Some(VecDeque::new()));
        // Half as large; nobody has more in memory.
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let (queued, budget) = (AtomicU32::new(0), AtomicU32::new(TURN_BUDGET));
        Arc::new(Self { addr, queue, limit, queued, budget })
    }

    pub(crate) fn addr(&self) -> Addr<A> {
        // That of a life that is over leads nowhere.
        self.addr.upgrade().unwrap_or_else(|| Addr::new(channel(1).0))
    }

    /// Puts a message last; whether it is the only one, and the life has to be woken. A longer queue is one that the life
    /// has not finished, so it comes back to it.
    pub(crate) fn push<M>(&self, message: M, reply: Option<Sender<M::Result>>) -> Result<bool, (PushError, M)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.push_within(self.limit, message, reply)
    }

    /// Puts a message last that has a limit of another kind.
    pub(crate) fn push_within<M>(
        &self,
        limit: u32,
        message: M,
        reply: Option<Sender<M::Result>>,
    ) -> Result<bool, (PushError, M)>
    where
        A: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
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
        // Whoever makes it more than none wakes the life afterwards, so nothing is missed here.
        if self.queued.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut queue = lock(&self.queue);
        let queue = queue.as_mut()?;
        let message = queue.pop_front();
        self.queued.store(queue.len() as u32, Ordering::Release);
        message
    }

    /// A new turn begins.
    pub(crate) fn reset_budget(&self) {
        self.budget.store(TURN_BUDGET, Ordering::Relaxed);
    }

    /// The actor has panicked, and has no turn any more.
    pub(crate) fn poison(&self) {
        self.budget.store(POISONED, Ordering::Relaxed);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.budget.load(Ordering::Relaxed) == POISONED
    }

    /// Takes one from the turn; `false` when nothing is left of it.
    pub(crate) fn consume_budget(&self) -> bool {
        let left = self.budget.load(Ordering::Relaxed);
        self.budget.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }
}

/// A message that waits, of whatever type.
pub(crate) trait DynMessage<A: Actor>: Send {
    /// The type of the message.
    fn name(&self) -> &'static str;
    fn handle(self: Box<Self>, actor: &mut A, context: &mut A::Context);
}

/// A message, and who waits for the answer.
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
        // A call that nobody waits for any more is not begun.
        if reply.as_ref().is_none_or(|reply| !reply.is_closed()) {
            actor.handle(message, context).handle(context, reply);
        }
    }
}

/// A door, whoever lives behind it.
pub(crate) trait AnyMailbox: Send + Sync {
    fn queued(&self) -> usize;
    /// Nothing is taken any more, and what waits is dropped.
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
            // A message may be anything, even something that panics when it is dropped.
            let _ = catch_panic(move || drop(message));
        }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
