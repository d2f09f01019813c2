//! Links and exit listeners of one actor.

use std::sync::Arc;

use impresario_supervision::ExitReason;

use crate::cell::{ActorCell, ExitListener, Links, Pid, Signal, State, TrapExit};
use crate::sync::lock;

impl Links {
    pub(crate) fn insert(&mut self, to: &Pid) {
        self.links.insert(to.key(), to.clone());
    }

    /// Removes a link. Returns whether there was one.
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

    /// Removes an exit listener. The caller drops it after it has released the lock of the cell, since that drop may wake
    /// a task.
    #[must_use = "a listener is dropped outside of the lock"]
    pub(crate) fn remove_exit_listener(&mut self, key: u64) -> Option<ExitListener> {
        self.exit_listeners.remove(&key)
    }

    pub(crate) fn set_trap_exit(&mut self, trap_exit: Option<TrapExit>) {
        self.trap_exit = trap_exit;
    }

    pub(crate) fn trap_exit(&self) -> Option<&TrapExit> {
        self.trap_exit.as_ref()
    }

    /// Sends the exit reason to all exit listeners in the order of their registration, then to all links.
    pub(crate) fn notify_exit(self, cell: &Arc<ActorCell>, reason: &ExitReason) {
        let pid = Pid::of(cell);
        for listener in self.exit_listeners.into_values() {
            match listener {
                // An error means that the caller dropped its future. Nothing is left to do.
                ExitListener::Future(waiter) => drop(waiter.send(reason.clone())),
                ExitListener::Monitor(monitors, key) => monitors.push_exit(key, reason.clone()),
            }
        }
        for linked in self.links.into_values() {
            linked.cell().linked_exit(&pid, reason);
        }
    }
}

impl ActorCell {
    /// Links two actors. If the other has exited, this one gets an exit signal with `NoProc`.
    pub(crate) fn link(self: &Arc<Self>, to: &Pid) {
        let own = Pid::of(self);
        if own == *to {
            return;
        }
        let no_proc = self.with_both(to.cell(), |mine, theirs| {
            if mine.exit_reason.is_some() {
                return false;
            }
            if theirs.exit_reason.is_some() {
                // A link that exists already is about to deliver the exit.
                return !mine.cold().links.is_linked(to);
            }
            mine.cold().links.insert(to);
            theirs.cold().links.insert(&own);
            false
        });
        if no_proc {
            self.signal(Signal::Exit { from: Some(to.clone()), reason: ExitReason::NoProc, linked: true });
        }
    }

    /// Removes a link, and the exit signal that it has queued here.
    pub(crate) fn unlink(self: &Arc<Self>, from: &Pid) {
        let own = Pid::of(self);
        if own == *from {
            return;
        }
        self.with_both(from.cell(), |mine, theirs| {
            if let Some(cold) = &mut theirs.cold {
                cold.links.remove(&own);
            }
            if let Some(cold) = &mut mine.cold {
                cold.links.remove(from);
                let via_link = |signal: &Signal| matches!(signal, Signal::Exit { from: Some(pid), linked: true, .. } if pid == from);
                cold.signals.retain(|signal| !via_link(signal));
            }
        });
    }

    /// Works on two cells under both locks, so that a link has either both ends or none.
    fn with_both<T>(&self, other: &Self, work: impl FnOnce(&mut State, &mut State) -> T) -> T {
        // The order of the locks is that of the addresses: two actors that link each other do not deadlock.
        let (mut mine, mut theirs);
        if std::ptr::from_ref(self).addr() < std::ptr::from_ref(other).addr() {
            mine = lock(&self.state);
            theirs = lock(&other.state);
        } else {
            theirs = lock(&other.state);
            mine = lock(&self.state);
        }
        work(&mut mine, &mut theirs)
    }

    /// Works on the links of an actor that has not exited, or fails with its exit reason.
    pub(crate) fn with_links<T>(&self, work: impl FnOnce(&mut Links) -> T) -> Result<T, ExitReason> {
        self.with_cold(|cold| work(&mut cold.links))
    }
}
