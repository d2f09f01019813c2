//! Who has the turn on an arbiter.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::cell::{ActorCell, Pid};
use crate::sync::{Mutex, lock};

/// One arbiter, as its actors and whoever watches it see it. It is there while an actor lives on it.
pub(crate) struct ArbiterState {
    thread: ThreadId,
    /// What the thread is called.
    pub(crate) name: Option<String>,
    pub(crate) arbiter: Option<ArbiterHandle>,
    /// Somebody watches: only then is the turn written down.
    watched: AtomicBool,
    current_actor: Mutex<Option<CurrentActor>>,
}

/// Who has the turn.
#[derive(Clone)]
pub(crate) struct CurrentActor {
    pub(crate) pid: Pid,
    /// What it is.
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

    /// Whether this runs on it.
    pub(crate) fn is_current(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// Runs the code of an actor, perhaps within the turn of another; if it panics the turn is not given back, so the code
    /// catches that.
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

/// The arbiters on which actors of a system live.
#[derive(Default)]
pub(crate) struct Arbiters(Mutex<ArbiterList>);

#[derive(Default)]
struct ArbiterList {
    all: Vec<Weak<ArbiterState>>,
    /// How many watch them.
    watchers: usize,
}

impl Arbiters {
    /// The arbiter that this runs on.
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

    /// Has turns be written down, from the next one on.
    pub(crate) fn add_watcher(&self) {
        self.set_watchers(|watchers| watchers + 1);
    }

    /// One less watches.
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
