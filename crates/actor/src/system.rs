//! What the lives of one tree have in common.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::Pid;
use crate::life::lock;
use crate::sync::Mutex;
use crate::turns::Arbiters;

/// The names and groups of one tree, and the numbers of its [`Pid`]s. Cheap to clone.
///
/// There is one for each root, so trees in the same program do not see each other.
#[derive(Clone, Default)]
pub struct System(Arc<Shared>);

#[derive(Default)]
struct Shared {
    numbers: AtomicU64,
    names: Mutex<HashMap<String, Pid>>,
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

/// Why a name was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Somebody else has the name.
    Taken(Pid),
    /// The life is over.
    NotAlive,
}

impl System {
    /// A system in which nobody lives.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// How long it has existed.
    pub(crate) fn age(&self) -> Duration {
        self.0.start.0.elapsed()
    }

    /// Where its lives are.
    pub(crate) fn arbiters(&self) -> &Arbiters {
        &self.0.arbiters
    }

    /// Gives a life a name, which leads to it until it ends or the name is taken from it.
    ///
    /// When others hear of its end, the name is free. A life may have several names.
    ///
    /// # Errors
    ///
    /// When a living one has the name already (registering the same one again is no error), or the life is over.
    pub fn register(&self, name: impl Into<String>, pid: &Pid) -> Result<(), NameError> {
        let name = name.into();
        let mut names = lock(&self.0.names);
        match names.get(&name) {
            Some(holder) if holder == pid => return Ok(()),
            Some(holder) if holder.is_alive() => return Err(NameError::Taken(holder.clone())),
            _ => {}
        }
        pid.life().enlist().map_err(|_| NameError::NotAlive)?;
        names.insert(name, pid.clone());
        Ok(())
    }

    /// Frees a name; whether anybody had it.
    pub fn unregister(&self, name: &str) -> bool {
        lock(&self.0.names).remove(name).is_some()
    }

    /// Who has the name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        lock(&self.0.names).get(name).filter(|pid| pid.is_alive()).cloned()
    }

    /// All names that are taken, sorted.
    pub fn registered(&self) -> Vec<String> {
        let mut names: Vec<_> = lock(&self.0.names).keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// A life that was registered is over.
    pub(crate) fn forget(&self, pid: &Pid) {
        lock(&self.0.names).retain(|_, holder| holder != pid);
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("names", &self.registered()).finish_non_exhaustive()
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(pid) => write!(f, "the name belongs to {pid}: unregister it first"),
            Self::NotAlive => f.write_str("the life is over"),
        }
    }
}

impl std::error::Error for NameError {}
