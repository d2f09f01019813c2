//! The record of all starts and exits, and the checks of its invariants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use impresario_actor::{Pid, Shutdown};
use tokio::time::Instant;

use crate::plan::{Body, Node, SLACK};

/// All incarnations that were started.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Life>>>);

/// One incarnation of a child.
pub(crate) struct Life {
    /// Position in the tree: an index for each level. Instances have a unique number instead.
    pub(crate) path: Vec<usize>,
    pub(crate) pid: Pid,
    shutdown: Shutdown,
    told: Option<Instant>,
    /// Time of the exit and number of earlier exits.
    gone: Option<(Instant, usize)>,
}

/// Held by the factory's future, then by the actor. Its drop records the exit.
pub(crate) struct Mark {
    record: Record,
    at: usize,
}

impl Record {
    fn lives(&self) -> MutexGuard<'_, Vec<Life>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, path: &[usize], pid: Pid, shutdown: Shutdown) -> Mark {
        let mut lives = self.lives();
        lives.push(Life { path: path.to_vec(), pid, shutdown, told: None, gone: None });
        Mark { record: self.clone(), at: lives.len() - 1 }
    }

    pub(crate) fn alive_pids(&self) -> Vec<Pid> {
        let lives = self.lives();
        lives.iter().filter(|life| life.gone.is_none()).map(|life| life.pid.clone()).collect()
    }

    pub(crate) fn alive(&self) -> Vec<usize> {
        let lives = self.lives();
        (0..lives.len()).filter(|&at| lives[at].gone.is_none()).collect()
    }

    /// A child has at most one running incarnation.
    pub(crate) fn check_lives(&self) {
        let mut alive = HashMap::new();
        for life in self.lives().iter().filter(|life| life.gone.is_none()) {
            let other = alive.insert(life.path.clone(), life.pid.clone());
            assert!(other.is_none(), "{:?} runs twice: {other:?} and {:?}", life.path, life.pid);
        }
    }

    /// Each start has an exit, and its pid has an exit reason.
    pub(crate) fn check_all_gone(&self) {
        for life in self.lives().iter() {
            assert!(life.gone.is_some(), "{:?} is still running", life.path);
            assert!(life.pid.exit_reason().is_some(), "{:?} has no exit reason", life.path);
        }
    }

    /// A child exits at most its shutdown timeout after the stop request.
    pub(crate) fn check_stops(&self) {
        for life in self.lives().iter() {
            let (Some(told), Some((gone, _)), Shutdown::Timeout(limit)) =
                (life.told, life.gone, life.shutdown)
            else {
                continue;
            };
            assert!(gone - told <= limit + SLACK, "{:?} took {:?} of {limit:?}", life.path, gone - told);
        }
    }

    /// Children that were running at the stop of the tree exit in reverse order. Instances have no order.
    pub(crate) fn check_order(&self, alive: &[usize], root: &Node) {
        let lives = self.lives();
        let mut left: Vec<&Life> = alive.iter().map(|&at| &lives[at]).collect();
        left.retain(|life| !is_instance(root, &life.path));
        left.sort_by_key(|life| life.gone.map(|(_, turn)| turn));
        let went: Vec<&[usize]> = left.iter().map(|life| life.path.as_slice()).collect();
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
    pub(crate) fn told(&self) {
        self.record.lives()[self.at].told.get_or_insert_with(Instant::now);
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut lives = self.record.lives();
        let turn = lives.iter().filter(|life| life.gone.is_some()).count();
        let life = &mut lives[self.at];
        assert!(life.gone.is_none(), "{:?} exits twice", life.path);
        life.gone = Some((Instant::now(), turn));
    }
}
