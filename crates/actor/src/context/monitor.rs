//! Monitors: hearing of the end of another life.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use impresario_supervision::ExitReason;

use crate::cell::{MonitorSet, Pid};
use crate::context::ChildContext;
use crate::context::event_delivery::{EventDelivery, EventSource};

/// What an actor hears when a life that it monitors has ended (OTP: `{'DOWN', Ref, process, Pid, Reason}`).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "DOWN")]
#[non_exhaustive]
pub struct Down {
    /// Whose end it is.
    pub pid: Pid,
    /// Why; [`ExitReason::NoProc`] if it was over before it was monitored.
    pub reason: ExitReason,
}

impl Message for Down {
    type Result = ();
}

/// One monitor, to be taken back with [`ChildContext::demonitor`].
pub struct Monitor {
    key: u64,
    monitors: Arc<MonitorSet>,
}

impl ChildContext {
    /// Has this actor hear of the end of a life, once (OTP: `monitor(process, Pid)`).
    ///
    /// If it is over, the actor hears of it at once, with [`ExitReason::NoProc`].
    pub fn monitor<A>(&self, pid: &Pid, ctx: &mut Context<A>) -> Monitor
    where
        A: Actor<Context = Context<A>> + Handler<Down>,
    {
        let mut first = false;
        let monitors = self.cell().with_links(|links| {
            Arc::clone(links.monitors.get_or_insert_with(|| {
                first = true;
                Arc::default()
            }))
        });
        // An error means that this life is over, and hears nothing.
        let monitors = monitors.unwrap_or_default();
        if first {
            ctx.spawn(EventDelivery(Exits(Arc::clone(&monitors))));
        }
        let key = monitors.monitor(pid);
        Monitor { key, monitors }
    }

    /// Takes a monitor back: nothing is heard of it afterwards, even if the life is over already (OTP: `demonitor/2` with
    /// `flush`).
    pub fn demonitor(&self, monitor: &Monitor) {
        monitor.monitors.demonitor(monitor.key);
    }
}

/// The exits of all processes that an actor monitors.
struct Exits(Arc<MonitorSet>);

impl EventSource for Exits {
    type Event = Down;

    fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }

    fn pop(&self) -> Option<Down> {
        self.0.pop().map(|(pid, reason)| Down { pid, reason })
    }
}

impl Drop for Exits {
    fn drop(&mut self) {
        self.0.demonitor_all();
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("key", &self.key).finish_non_exhaustive()
    }
}
