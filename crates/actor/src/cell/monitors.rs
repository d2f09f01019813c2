//! The monitors that one actor has on others.

use std::sync::Arc;
use std::task::Waker;

use impresario_supervision::ExitReason;

use crate::cell::{ExitListener, MonitorSet, Pid};
use crate::sync::lock;

impl MonitorSet {
    /// Adds a monitor and returns its key. The exit of a process that has exited before is [`ExitReason::NoProc`].
    pub(crate) fn monitor(self: &Arc<Self>, pid: &Pid) -> u64 {
        let key = {
            let mut state = lock(&self.state);
            state.last += 1;
            let key = state.last;
            state.monitors.insert(key, (pid.clone(), None));
            key
        };
        let listener = ExitListener::Monitor(Arc::clone(self), key);
        match pid.cell().with_links(|links| links.add_exit_listener(listener)) {
            // The process may have exited since, and the exit may have been handled.
            Ok(listener_key) => {
                if let Some(monitor) = lock(&self.state).monitors.get_mut(&key) {
                    monitor.1 = Some(listener_key);
                }
            }
            Err(_) => self.push_exit(key, ExitReason::NoProc),
        }
        key
    }

    /// Removes a monitor. Its exit is not reported any more, even if it is queued.
    pub(crate) fn demonitor(&self, key: u64) {
        let taken = lock(&self.state).monitors.remove(&key);
        taken.into_iter().for_each(remove_exit_listener);
    }

    /// Removes all monitors.
    pub(crate) fn demonitor_all(&self) {
        let all = std::mem::take(&mut *lock(&self.state)).monitors;
        all.into_values().for_each(remove_exit_listener);
    }

    /// Queues the exit of a monitored process and wakes the actor.
    pub(crate) fn push_exit(&self, key: u64, reason: ExitReason) {
        lock(&self.state).exits.push_back((key, reason));
        self.waker.wake();
    }

    /// Takes the next exit.
    pub(crate) fn pop(&self) -> Option<(Pid, ExitReason)> {
        let mut state = lock(&self.state);
        loop {
            let (key, reason) = state.exits.pop_front()?;
            if let Some((pid, _)) = state.monitors.remove(&key) {
                return Some((pid, reason));
            }
        }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

fn remove_exit_listener((pid, listener_key): (Pid, Option<u64>)) {
    if let Some(listener_key) = listener_key {
        // An error means that the process has exited, and its exit listeners are dropped.
        drop(pid.cell().with_links(|links| links.remove_exit_listener(listener_key)));
    }
}
