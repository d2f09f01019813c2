//! Monitors of groups (OTP: `pg:monitor/1`).

use std::sync::Arc;
use std::task::Waker;

use actix::{Actor, Context, Handler};

use crate::context::ChildContext;
use crate::context::event_delivery::{EventDelivery, EventSource};
use crate::context::task_handle::TaskHandle;
use crate::registry::Registry;
use crate::registry::groups::{GroupEvent, Inbox};
use crate::sync::lock;

/// One monitor of a group, to be taken back with [`ChildContext::demonitor_group`].
#[derive(Debug)]
pub struct GroupMonitor {
    delivery: TaskHandle,
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
        let events = Events { registry, group: group.to_owned(), key, inbox };
        GroupMonitor { delivery: TaskHandle::spawn(EventDelivery(events), ctx) }
    }

    /// Takes a monitor back: nothing is heard of the group afterwards (OTP: `pg:demonitor/1`).
    pub fn demonitor_group<A>(&self, monitor: &GroupMonitor, ctx: &mut Context<A>)
    where
        A: Actor<Context = Context<A>>,
    {
        monitor.delivery.cancel(ctx);
    }
}

/// The events of one monitor of a group.
struct Events {
    registry: Registry,
    group: String,
    key: u64,
    inbox: Arc<Inbox>,
}

impl EventSource for Events {
    type Event = GroupEvent;

    fn register(&self, waker: &Waker) {
        self.inbox.register(waker);
    }

    fn pop(&self) -> Option<GroupEvent> {
        self.inbox.pop()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        lock(self.registry.groups()).demonitor(&self.group, self.key);
    }
}
