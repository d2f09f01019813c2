//! Hearing who is in a group, and who comes and goes.

use std::collections::VecDeque;
use std::pin::Pin as StdPin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};

use actix::dev::MessageResponse;
use actix::{Actor, ActorFuture, AsyncContext, Context, Handler, Message};
use futures::task::AtomicWaker;

use crate::life::lock;
use crate::{ChildContext, Pid, Registry, TaskHandle};

/// So many events may wait for one that monitors a group. One more, and all of them are replaced by the members.
pub(crate) const MAX_WAITING: usize = 4_096;
/// After so many events in a row an actor lets others have their turn.
const TURN_BUDGET: usize = 256;

/// News of a group that an actor monitors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupEvent {
    /// Which group.
    pub group: Arc<str>,
    /// What is new.
    pub change: GroupChange,
}

/// What is new in a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupChange {
    /// Who is in it, in the order of joining: the first thing to hear. It comes again, in place of all events that wait,
    /// when an actor hears them so slowly that they are too many.
    Members(Vec<Pid>),
    /// This life has joined, perhaps once more.
    Joined(Pid),
    /// This life has left, or has ended; of as many joins as it had, one.
    Left(Pid),
}

impl Message for GroupEvent {
    type Result = ();
}

/// One monitor of a group, to be taken back with [`ChildContext::demonitor_group`].
#[derive(Debug)]
pub struct GroupMonitor {
    delivery: TaskHandle,
}

/// Where events wait for one that monitors a group.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Mutex<VecDeque<GroupEvent>>,
    waker: AtomicWaker,
}

impl Inbox {
    /// Puts an event last, or what it has led to in place of all.
    pub(crate) fn push(&self, group: &Arc<str>, change: GroupChange, all: impl FnOnce() -> GroupChange) {
        let mut events = lock(&self.events);
        let change = if events.len() < MAX_WAITING {
            change
        } else {
            events.clear();
            all()
        };
        events.push_back(GroupEvent { group: Arc::clone(group), change });
        drop(events);
        self.waker.wake();
    }

    pub(crate) fn pop(&self) -> Option<GroupEvent> {
        lock(&self.events).pop_front()
    }
}

impl ChildContext {
    /// Has this actor hear who is in a group, and from then on who joins and leaves: every change once and in order, with
    /// no gap between the members and the first change (OTP: `pg:monitor/1`).
    pub fn monitor_group<A>(&self, group: &str, ctx: &mut Context<A>) -> GroupMonitor
    where
        A: Actor<Context = Context<A>> + Handler<GroupEvent>,
    {
        let (registry, inbox) = (self.system().clone(), Arc::<Inbox>::default());
        let key = lock(registry.groups()).monitor(group, &inbox);
        let delivery = EventDelivery { registry, group: group.to_owned(), key, inbox };
        GroupMonitor { delivery: TaskHandle::spawn(delivery, ctx) }
    }

    /// Takes a monitor back: nothing is heard of the group afterwards (OTP: `pg:demonitor/1`).
    pub fn demonitor_group<A>(&self, monitor: &GroupMonitor, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        monitor.delivery.cancel(ctx);
    }
}

/// Hands events to the actor. Dropped, it leaves no trace.
struct EventDelivery {
    registry: Registry,
    group: String,
    key: u64,
    inbox: Arc<Inbox>,
}

impl<A> ActorFuture<A> for EventDelivery
where
    A: Actor<Context = Context<A>> + Handler<GroupEvent>,
{
    type Output = ();

    fn poll(
        self: StdPin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.inbox.waker.register(task.waker());
        for _ in 0..TURN_BUDGET {
            // What the actor waits for comes first. It is polled again after that.
            if ctx.waiting() {
                return Poll::Pending;
            }
            let Some(event) = self.inbox.pop() else { return Poll::Pending };
            actor.handle(event, ctx).handle(ctx, None);
        }
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for EventDelivery {
    fn drop(&mut self) {
        lock(self.registry.groups()).demonitor(&self.group, self.key);
    }
}
