//! What the lives of one tree have in common.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::Pid;
use crate::groups::Groups;
use crate::life::lock;
use crate::names::{NameError, Names};
use crate::sync::Mutex;
use crate::turns::Arbiters;

/// The names and groups of one tree, and the numbers of its [`Pid`]s. Cheap to clone.
///
/// There is one for each root, so trees in the same program do not see each other.
#[derive(Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Default)]
struct Shared {
    next_number: AtomicU64,
    names: Mutex<Names>,
    groups: Mutex<Groups>,
    arbiters: Arbiters,
    start: Start,
}

/// When the system began.
struct Start(Instant);

impl Default for Start {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Registry {
    /// A system in which nobody lives.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.0.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// How long it has existed.
    pub(crate) fn age(&self) -> Duration {
        self.0.start.0.elapsed()
    }

    /// Where its lives are.
    pub(crate) fn arbiters(&self) -> &Arbiters {
        &self.0.arbiters
    }

    pub(crate) fn names(&self) -> &Mutex<Names> {
        &self.0.names
    }

    pub(crate) fn groups(&self) -> &Mutex<Groups> {
        &self.0.groups
    }

    /// A life is about to have a name or to be in a group here. When it is over, its own system forgets it, and no other.
    pub(crate) fn mark_registered(&self, pid: &Pid) -> Result<(), NameError> {
        if !Arc::ptr_eq(&self.0, &pid.cell().system().0) {
            return Err(NameError::OtherTree);
        }
        pid.cell().mark_registered().map_err(|_| NameError::NotAlive)
    }

    /// A life that had a name, or was in a group, is over.
    pub(crate) fn remove_pid(&self, pid: &Pid) {
        lock(self.names()).remove_pid(pid);
        lock(self.groups()).remove_pid(pid);
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("names", &self.registered())
            .field("groups", &self.which_groups())
            .finish_non_exhaustive()
    }
}
