//! Who has the turn on an arbiter.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use actix_rt::{Arbiter, ArbiterHandle};

use crate::Pid;
use crate::life::{Life, lock};
use crate::sync::Mutex;

/// One arbiter, as its actors and whoever watches it see it. It is there while an actor lives on it.
pub(crate) struct Turns {
    thread: ThreadId,
    /// What the thread is called.
    pub(crate) name: Option<String>,
    pub(crate) arbiter: Option<ArbiterHandle>,
    /// Somebody watches: only then is the turn written down.
    watched: AtomicBool,
    turn: Mutex<Option<Turn>>,
}

/// Who has the turn.
#[derive(Clone)]
pub(crate) struct Turn {
    pub(crate) pid: Pid,
    /// What it is.
    pub(crate) actor: &'static str,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Turns {
    fn here(watched: bool) -> Arc<Self> {
        let thread = thread::current();
        Arc::new(Self {
            thread: thread.id(),
            name: thread.name().map(str::to_owned),
            arbiter: Arbiter::try_current(),
            watched: AtomicBool::new(watched),
            turn: Mutex::default(),
        })
    }

    /// Whether this runs on it.
    pub(crate) fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// Runs the code of an actor, perhaps within the turn of another; if it panics the turn is not given back, so the code
    /// catches that.
    pub(crate) fn take<T>(&self, life: &Arc<Life>, actor: &'static str, code: impl FnOnce() -> T) -> T {
        if !self.watched.load(Ordering::Relaxed) {
            return code();
        }
        let outer = lock(&self.turn).replace(Turn { pid: Pid::of(life), actor });
        let result = code();
        *lock(&self.turn) = outer;
        result
    }

    pub(crate) fn turn(&self) -> Option<Turn> {
        lock(&self.turn).clone()
    }
}

/// The arbiters on which actors of a system live.
#[derive(Default)]
pub(crate) struct Arbiters(Mutex<Known>);

#[derive(Default)]
struct Known {
    all: Vec<Weak<Turns>>,
    /// How many watch them.
    watchers: usize,
}

impl Arbiters {
    /// The arbiter that this runs on.
    pub(crate) fn here(&self) -> Arc<Turns> {
        let mut known = lock(&self.0);
        if let Some(turns) = known.all.iter().filter_map(Weak::upgrade).find(|turns| turns.is_here()) {
            return turns;
        }
        known.all.retain(|turns| turns.strong_count() > 0);
        let turns = Turns::here(known.watchers > 0);
        known.all.push(Arc::downgrade(&turns));
        turns
    }

    pub(crate) fn all(&self) -> Vec<Arc<Turns>> {
        lock(&self.0).all.iter().filter_map(Weak::upgrade).collect()
    }

    /// Has turns be written down, from the next one on.
    pub(crate) fn watch(&self) {
        self.set_watchers(|watchers| watchers + 1);
    }

    /// One less watches.
    pub(crate) fn unwatch(&self) {
        self.set_watchers(|watchers| watchers.saturating_sub(1));
    }

    fn set_watchers(&self, change: impl FnOnce(usize) -> usize) {
        let mut known = lock(&self.0);
        known.watchers = change(known.watchers);
        for turns in known.all.iter().filter_map(Weak::upgrade) {
            turns.watched.store(known.watchers > 0, Ordering::Relaxed);
        }
    }
}
