//! Who hears of the end of a life: those linked to it, and those that monitor it.

use std::collections::BTreeMap;
use std::sync::Arc;

use impresario_supervision::ExitReason;
use tokio::sync::oneshot;

use crate::downs::MonitorSet;
use crate::life::ActorCell;
use crate::{ExitSignal, Pid};

/// Is told how the life ended.
pub(crate) enum ExitListener {
    /// Somebody who waits.
    Future(oneshot::Sender<ExitReason>),
    /// Another life, by this of its monitors.
    Monitor(Arc<MonitorSet>, u64),
}

/// Takes exit signals to the actor, as messages; those of links are never refused.
pub(crate) type TrapExit = Arc<dyn Fn(ExitSignal, bool) + Send + Sync>;

/// The links and monitors of one life, and whether it traps exits.
#[derive(Default)]
pub(crate) struct Links {
    links: BTreeMap<usize, Pid>,
    exit_listeners: BTreeMap<u64, ExitListener>,
    last_key: u64,
    trap_exit: Option<TrapExit>,
    /// Where it hears of the ends of those that it monitors itself.
    pub(crate) monitors: Option<Arc<MonitorSet>>,
}

impl Links {
    pub(crate) fn insert(&mut self, to: &Pid) {
        self.links.insert(to.key(), to.clone());
    }

    /// Whether there was a link.
    pub(crate) fn remove(&mut self, from: &Pid) -> bool {
        self.links.remove(&from.key()).is_some()
    }

    pub(crate) fn is_linked(&self, to: &Pid) -> bool {
        self.links.contains_key(&to.key())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Pid> {
        self.links.values()
    }

    pub(crate) fn add_exit_listener(&mut self, listener: ExitListener) -> u64 {
        self.last_key += 1;
        self.exit_listeners.insert(self.last_key, listener);
        self.last_key
    }

    pub(crate) fn remove_exit_listener(&mut self, key: u64) {
        self.exit_listeners.remove(&key);
    }

    pub(crate) fn set_trap_exit(&mut self, trap_exit: Option<TrapExit>) {
        self.trap_exit = trap_exit;
    }

    pub(crate) fn trap_exit(&self) -> Option<&TrapExit> {
        self.trap_exit.as_ref()
    }

    /// The life is over: everybody hears of it, in the order in which they asked.
    pub(crate) fn notify_exit(self, cell: &Arc<ActorCell>, reason: &ExitReason) {
        let pid = Pid::of(cell);
        for listener in self.exit_listeners.into_values() {
            match listener {
                // Who does not wait any more does not need it.
                ExitListener::Future(waiter) => drop(waiter.send(reason.clone())),
                ExitListener::Monitor(monitors, key) => monitors.push_exit(key, reason.clone()),
            }
        }
        for linked in self.links.into_values() {
            linked.cell().linked_exit(&pid, reason);
        }
    }
}
