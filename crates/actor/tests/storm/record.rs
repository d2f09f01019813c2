//! What has happened, and what must hold of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use impresario_actor::{Pid, Shutdown};
use tokio::time::Instant;

use crate::plan::{Body, Node, SLACK};

/// Everything that was ever begun.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Life>>>);

/// A life of a child.
pub(crate) struct Life {
    /// Where in the tree, by positions; instances of dynamic supervisors have a number of their own.
    pub(crate) path: Vec<usize>,
    pub(crate) pid: Pid,
    shutdown: Shutdown,
    told: Option<Instant>,
    /// When, and after how many others.
    gone: Option<(Instant, usize)>,
}

/// Held by whatever plays a life, from its first moment; its drop is the end.
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

    /// Never two lives of one child at once.
    pub(crate) fn check_lives(&self) {
        let mut alive = HashMap::new();
        for life in self.lives().iter().filter(|life| life.gone.is_none()) {
            let other = alive.insert(life.path.clone(), life.pid.clone());
            assert!(other.is_none(), "{:?} lives twice: {other:?} and {:?}", life.path, life.pid);
        }
    }

    /// Exactly one end for each start, and everybody can hear of it.
    pub(crate) fn check_all_gone(&self) {
        for life in self.lives().iter() {
            assert!(life.gone.is_some(), "{:?} is left", life.path);
            assert!(life.pid.exit_reason().is_some(), "{:?} has no reason", life.path);
        }
    }

    /// A stuck child delays by its time-out at most.
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

    /// Those who lived when a tree was told to stop went in reverse order, but for instances, which have none.
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
            // One that was added later is a worker, and the last.
            children.get(*at).is_some_and(|child| is_instance(child, rest))
        }
        _ => false,
    }
}

impl Mark {
    /// It was told to stop, or stops by itself.
    pub(crate) fn told(&self) {
        self.record.lives()[self.at].told.get_or_insert_with(Instant::now);
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut lives = self.record.lives();
        let turn = lives.iter().filter(|life| life.gone.is_some()).count();
        let life = &mut lives[self.at];
        assert!(life.gone.is_none(), "{:?} ends twice", life.path);
        life.gone = Some((Instant::now(), turn));
    }
}
