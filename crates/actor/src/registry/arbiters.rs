//! The actor that runs on an arbiter at the moment, for the watchdog.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::cell::{ActorCell, Pid};
use crate::sync::{Mutex, lock};

/// One arbiter, shared by its actors and the watchdogs. It exists while an actor runs on it.
pub(crate) struct ArbiterState {
    thread: ThreadId,
    /// Name of its thread.
    pub(crate) name: Option<String>,
    pub(crate) arbiter: Option<ArbiterHandle>,
    /// Set while a watchdog exists: only then is the current actor recorded.
    watched: AtomicBool,
    current_actor: Mutex<Option<CurrentActor>>,
}

/// The actor that is being polled.
#[derive(Clone)]
pub(crate) struct CurrentActor {
    pub(crate) pid: Pid,
    /// Its type.
    pub(crate) actor: &'static str,
}

impl fmt::Debug for ArbiterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArbiterState").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ArbiterState {
    fn current(watched: bool) -> Arc<Self> {
        let thread = thread::current();
        Arc::new(Self {
            thread: thread.id(),
            name: thread.name().map(str::to_owned),
            arbiter: Arbiter::try_current(),
            watched: AtomicBool::new(watched),
            current_actor: Mutex::default(),
        })
    }

    /// Whether the caller runs on this arbiter.
    pub(crate) fn is_current(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// Runs code of an actor, possibly inside the code of another one. A panic would leave the record, so the
    /// code must catch its own panics.
    pub(crate) fn run_as<T>(
        &self,
        cell: &Arc<ActorCell>,
        actor: &'static str,
        code: impl FnOnce() -> T,
    ) -> T {
        if !self.watched.load(Ordering::Relaxed) {
            return code();
        }
        let outer = lock(&self.current_actor).replace(CurrentActor { pid: Pid::of(cell), actor });
        let result = code();
        *lock(&self.current_actor) = outer;
        result
    }

    pub(crate) fn current_actor(&self) -> Option<CurrentActor> {
        lock(&self.current_actor).clone()
    }
}

/// The arbiters on which actors of a tree run.
#[derive(Default)]
pub(crate) struct Arbiters(Mutex<ArbiterList>);

#[derive(Default)]
struct ArbiterList {
    all: Vec<Weak<ArbiterState>>,
    /// Number of watchdogs.
    watchers: usize,
}

impl Arbiters {
    /// The arbiter of the calling thread.
    pub(crate) fn current(&self) -> Arc<ArbiterState> {
        let mut list = lock(&self.0);
        if let Some(arbiter) = list.all.iter().filter_map(Weak::upgrade).find(|arbiter| arbiter.is_current())
        {
            return arbiter;
        }
        list.all.retain(|arbiter| arbiter.strong_count() > 0);
        let arbiter = ArbiterState::current(list.watchers > 0);
        list.all.push(Arc::downgrade(&arbiter));
        arbiter
    }

    pub(crate) fn all(&self) -> Vec<Arc<ArbiterState>> {
        lock(&self.0).all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Records the current actor from the next poll on, for one more watchdog.
    pub(crate) fn add_watcher(&self) {
        self.set_watchers(|watchers| watchers + 1);
    }

    /// Removes one watchdog.
    pub(crate) fn remove_watcher(&self) {
        self.set_watchers(|watchers| watchers.saturating_sub(1));
    }

    fn set_watchers(&self, change: impl FnOnce(usize) -> usize) {
        let mut list = lock(&self.0);
        list.watchers = change(list.watchers);
        for arbiter in list.all.iter().filter_map(Weak::upgrade) {
            arbiter.watched.store(list.watchers > 0, Ordering::Relaxed);
        }
    }
}
