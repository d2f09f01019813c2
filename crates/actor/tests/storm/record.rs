//! The record of all starts and exits, and the checks of its invariants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use impresario_actor::{Pid, Shutdown};
use tokio::time::Instant;

use crate::plan::{Body, Node, SLACK};

/// All incarnations that were started.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Entry>>>);

/// One incarnation of a child.
pub(crate) struct Entry {
    /// Position in the tree: an index for each level. Instances have a unique number instead.
    pub(crate) path: Vec<usize>,
    pub(crate) pid: Pid,
    shutdown: Shutdown,
    stop_requested: Option<Instant>,
    /// Time of the exit and number of earlier exits.
    gone: Option<(Instant, usize)>,
}

/// Held by the factory's future, then by the actor. Its drop records the exit.
pub(crate) struct Mark {
    record: Record,
    at: usize,
}

impl Record {
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, path: &[usize], pid: Pid, shutdown: Shutdown) -> Mark {
        let mut entries = self.entries();
        entries.push(Entry { path: path.to_vec(), pid, shutdown, stop_requested: None, gone: None });
        Mark { record: self.clone(), at: entries.len() - 1 }
    }

    pub(crate) fn alive_pids(&self) -> Vec<Pid> {
        let entries = self.entries();
        entries.iter().filter(|entry| entry.gone.is_none()).map(|entry| entry.pid.clone()).collect()
    }

    pub(crate) fn alive(&self) -> Vec<usize> {
        let entries = self.entries();
        (0..entries.len()).filter(|&at| entries[at].gone.is_none()).collect()
    }

    /// A child has at most one running incarnation.
    pub(crate) fn check_running(&self) {
        let mut alive = HashMap::new();
        for entry in self.entries().iter().filter(|entry| entry.gone.is_none()) {
            let other = alive.insert(entry.path.clone(), entry.pid.clone());
            assert!(other.is_none(), "{:?} runs twice: {other:?} and {:?}", entry.path, entry.pid);
        }
    }

    /// Each start has an exit, and its pid has an exit reason.
    pub(crate) fn check_all_gone(&self) {
        for entry in self.entries().iter() {
            assert!(entry.gone.is_some(), "{:?} is still running", entry.path);
            assert!(entry.pid.exit_reason().is_some(), "{:?} has no exit reason", entry.path);
        }
    }

    /// A child exits at most its shutdown timeout after the stop request.
    pub(crate) fn check_stops(&self) {
        for entry in self.entries().iter() {
            let (Some(stop_requested), Some((gone, _)), Shutdown::Timeout(limit)) =
                (entry.stop_requested, entry.gone, entry.shutdown)
            else {
                continue;
            };
            assert!(
                gone - stop_requested <= limit + SLACK,
                "{:?} took {:?} of {limit:?}",
                entry.path,
                gone - stop_requested
            );
        }
    }

    /// Children that were running at the stop of the tree exit in reverse order. Instances have no order.
    pub(crate) fn check_order(&self, alive: &[usize], root: &Node) {
        let entries = self.entries();
        let mut left: Vec<&Entry> = alive.iter().map(|&at| &entries[at]).collect();
        left.retain(|entry| !is_instance(root, &entry.path));
        left.sort_by_key(|entry| entry.gone.map(|(_, turn)| turn));
        let went: Vec<&[usize]> = left.iter().map(|entry| entry.path.as_slice()).collect();
        let mut expected = went.clone();
        expected.sort_by(|one, other| other.cmp(one));
        assert_eq!(went, expected);
    }
}

fn is_instance(root: &Node, path: &[usize]) -> bool {
    match (&root.body, path) {
        (Body::Dynamic(..), _) => true,
        (Body::Static(_, _, children), [at, rest @ ..]) => {
            // A child that a request added has no node in the plan. It is not an instance.
            children.get(*at).is_some_and(|child| is_instance(child, rest))
        }
        _ => false,
    }
}

impl Mark {
    /// Records the time of the first stop request or of the actor's own stop.
    pub(crate) fn stop_requested(&self) {
        self.record.entries()[self.at].stop_requested.get_or_insert_with(Instant::now);
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut entries = self.record.entries();
        let turn = entries.iter().filter(|entry| entry.gone.is_some()).count();
        let entry = &mut entries[self.at];
        assert!(entry.gone.is_none(), "{:?} exits twice", entry.path);
        entry.gone = Some((Instant::now(), turn));
    }
}
