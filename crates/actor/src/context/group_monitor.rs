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

/// One monitor of a group; remove it with [`ChildContext::demonitor_group`].
#[derive(Debug)]
pub struct GroupMonitor {
    delivery: TaskHandle,
}

impl ChildContext {
    /// Sends this actor the members of a group, and then every join and leave, once and in order, without a
    /// gap between the members and the first change (OTP: `pg:monitor/1`).
    pub fn monitor_group<A>(&self, group: &str, ctx: &mut Context<A>) -> GroupMonitor
    where
        A: Actor<Context = Context<A>> + Handler<GroupEvent>,
    {
        let (registry, inbox) = (self.registry().clone(), Arc::<Inbox>::default());
        let key = lock(registry.groups()).monitor(group, &inbox);
        let events = Events { registry, group: group.to_owned(), key, inbox };
        GroupMonitor { delivery: TaskHandle::spawn(EventDelivery(events), ctx) }
    }

    /// Removes a monitor. No further event of it arrives (OTP: `pg:demonitor/1`).
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
