//! Where the ends wait that one life hears of because it monitors others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use impresario_supervision::ExitReason;

use crate::bonds::ExitListener;
use crate::life::lock;
use crate::pid::Pid;
use crate::sync::{AtomicWaker, Mutex};

/// All monitors of one life, so that many of them cost no more at each of its turns than one. Bounded by their number: each
/// has one end to tell.
#[derive(Default)]
pub(crate) struct MonitorSet {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    /// What has not been heard and was not taken back: who is monitored, and which of its watchers that is, once it is.
    monitors: BTreeMap<u64, (Pid, Option<u64>)>,
    /// Which of them have ended. It may be one that was taken back meanwhile.
    exits: VecDeque<(u64, ExitReason)>,
    last: u64,
}

impl MonitorSet {
    /// Begins to monitor; one that is over has ended as [`ExitReason::NoProc`].
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
            // It may have ended since, and that may even have been heard.
            Ok(listener_key) => {
                if let Some(monitor) = lock(&self.state).monitors.get_mut(&key) {
                    monitor.1 = Some(listener_key);
                }
            }
            Err(_) => self.push_exit(key, ExitReason::NoProc),
        }
        key
    }

    /// Takes a monitor back: its end, if it was told already, is not heard.
    pub(crate) fn demonitor(&self, key: u64) {
        let taken = lock(&self.state).monitors.remove(&key);
        taken.into_iter().for_each(remove_exit_listener);
    }

    /// Takes all back.
    pub(crate) fn demonitor_all(&self) {
        let all = std::mem::take(&mut *lock(&self.state)).monitors;
        all.into_values().for_each(remove_exit_listener);
    }

    /// Somebody who is monitored has ended.
    pub(crate) fn push_exit(&self, key: u64, reason: ExitReason) {
        lock(&self.state).exits.push_back((key, reason));
        self.waker.wake();
    }

    /// Who has ended, and why.
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
        // An error means that it is over, and has forgotten its watchers.
        let _ = pid.cell().with_links(|links| links.remove_exit_listener(listener_key));
    }
}
