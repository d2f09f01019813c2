//! Monitors: one message when another actor exits.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use impresario_supervision::ExitReason;

use crate::cell::{MonitorSet, Pid};
use crate::context::ChildContext;
use crate::context::event_delivery::{EventDelivery, EventSource};

/// The exit of a monitored actor (OTP: `{'DOWN', Ref, process, Pid, Reason}`).
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "DOWN")]
#[non_exhaustive]
pub struct Down {
    /// The actor that exited.
    pub pid: Pid,
    /// Its exit reason; [`ExitReason::NoProc`] if it had exited before it was monitored.
    pub reason: ExitReason,
}

impl Message for Down {
    type Result = ();
}

/// One monitor; remove it with [`ChildContext::demonitor`].
pub struct Monitor {
    key: u64,
    monitors: Arc<MonitorSet>,
}

impl ChildContext {
    /// Sends this actor one [`Down`] when the other exits (OTP: `monitor(process, Pid)`).
    ///
    /// If the other has exited, the `Down` comes immediately, with [`ExitReason::NoProc`].
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
        // An error means that this actor has exited and gets no message.
        let monitors = monitors.unwrap_or_default();
        if first {
            ctx.spawn(EventDelivery(Exits(Arc::clone(&monitors))));
        }
        let key = monitors.monitor(pid);
        Monitor { key, monitors }
    }

    /// Removes a monitor. No `Down` of it arrives afterwards, even if the other has exited already (OTP:
    /// `demonitor/2` with `flush`).
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
