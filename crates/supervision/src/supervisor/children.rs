//! The children of a static supervisor: a list in start order, with look-ups by key and by id.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Index, IndexMut};

use crate::id::{ChildId, ChildKey, Incarnation};
use crate::id_map::IdMap;
use crate::policy::backoff::BackoffState;
use crate::policy::spec::{ChildKind, ChildRules};
use crate::reason::ExitReason;
use crate::request::{ChildInfo, ChildState, Counts};
use crate::status::{ChildStage, ChildStatus};
use crate::time::Time;

/// The state of a child's current incarnation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RunState {
    /// No incarnation runs.
    Down,
    /// Was requested to start and has not answered. Killed at the deadline; then `timed_out` is set.
    Starting { deadline: Option<Time>, timed_out: bool },
    /// Is ready since then.
    Running { since: Time },
    /// Was requested to stop and has not exited. Killed at the deadline; then `timed_out` is set.
    Stopping { deadline: Option<Time>, timed_out: bool },
    /// Exited without a request; `QueuedEvent::Exited` is queued. `since`: when it became ready.
    Exited { since: Time, reason: ExitReason },
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) key: ChildKey,
    /// The number of children that were appended before it. Ranks increase along the list.
    rank: u64,
    pub(super) spec: ChildRules,
    /// The current incarnation, or the last one. 0: it was never started.
    pub(super) incarnation: Incarnation,
    /// The number of starts so far, failed ones included.
    pub(super) starts: u64,
    pub(super) state: RunState,
    /// A restart is due: it is queued as a retry, waits for its backoff, or is under way.
    pub(super) restarting: bool,
    /// The end of its backoff.
    pub(super) not_before: Option<Time>,
    pub(super) backoff_state: BackoffState,
}

impl Child {
    /// Whether an incarnation runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, RunState::Starting { .. } | RunState::Running { .. } | RunState::Stopping { .. })
    }

    pub(super) fn status(&self) -> ChildStatus {
        let stage = match self.state {
            RunState::Starting { .. } => ChildStage::Starting(self.incarnation),
            RunState::Running { .. } => ChildStage::Running(self.incarnation),
            RunState::Stopping { .. } => ChildStage::Stopping(self.incarnation),
            RunState::Down | RunState::Exited { .. } => match self.not_before {
                Some(time) => ChildStage::Waiting(time),
                None if self.restarting => ChildStage::Restarting,
                None => ChildStage::Down,
            },
        };
        ChildStatus {
            id: self.spec.id.clone(),
            key: self.key,
            kind: self.spec.kind,
            stage,
            restarts: self.starts.saturating_sub(1),
        }
    }
}

/// Children in start order.
///
/// Positions shift when a child is removed. Keys and ranks do not, so a removal changes no entry of another child.
#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    list: Vec<Child>,
    ranks: IdMap<ChildKey, u64>,
    ids: HashMap<ChildId, ChildKey>,
    next_key: u64,
    next_rank: u64,
}

impl Children {
    pub(super) fn with_capacity(children: usize) -> Self {
        Self { list: Vec::with_capacity(children), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.list.iter()
    }

    pub(super) fn position(&self, key: ChildKey) -> Option<usize> {
        let rank = *self.ranks.get(&key)?;
        // The position is the rank if no child before it was removed, and lower otherwise.
        let last = usize::try_from(rank).ok()?;
        match self.list.get(last) {
            Some(child) if child.rank == rank => Some(last),
            _ => {
                let before = self.list.get(..last).unwrap_or(&self.list);
                before.binary_search_by_key(&rank, |child| child.rank).ok()
            }
        }
    }

    pub(super) fn position_of(&self, id: &ChildId) -> Option<usize> {
        self.ids.get(id).and_then(|key| self.position(*key))
    }

    /// Appends a child that is down; returns its position. The caller checks that the id is new.
    pub(super) fn push(&mut self, spec: ChildRules) -> usize {
        let key = ChildKey(self.next_key);
        self.next_key += 1;
        self.append(Child {
            key,
            rank: 0,
            spec,
            incarnation: Incarnation(0),
            starts: 0,
            state: RunState::Down,
            restarting: false,
            not_before: None,
            backoff_state: BackoffState::default(),
        })
    }

    fn append(&mut self, child: Child) -> usize {
        let rank = self.next_rank;
        self.next_rank += 1;
        self.ranks.insert(child.key, rank);
        self.ids.insert(child.spec.id.clone(), child.key);
        self.list.push(Child { rank, ..child });
        self.list.len() - 1
    }

    /// Replaces the specs; returns the keys of the new ones, in their order.
    ///
    /// A child with a known id keeps its key and state. Children without a new spec follow after the others, in their
    /// order.
    pub(super) fn replace(&mut self, specs: Vec<ChildRules>) -> Vec<ChildKey> {
        self.next_rank = 0;
        let old = std::mem::take(&mut self.list).into_iter();
        let mut old: BTreeMap<u64, Child> = old.map(|child| (child.rank, child)).collect();
        let mut keys = Vec::with_capacity(specs.len());
        for spec in specs {
            let rank = self.ids.get(&spec.id).and_then(|key| self.ranks.get(key));
            let known = rank.and_then(|rank| old.remove(rank));
            let position = match known {
                Some(child) => self.append(Child { spec, ..child }),
                None => self.push(spec),
            };
            keys.push(self.list[position].key);
        }
        for child in old.into_values() {
            self.append(child);
        }
        keys
    }

    pub(super) fn remove(&mut self, position: usize) -> Child {
        let child = self.list.remove(position);
        self.ranks.remove(&child.key);
        self.ids.remove(&child.spec.id);
        child
    }

    /// All children, latest first, as OTP lists them.
    pub(super) fn infos(&self) -> Vec<ChildInfo> {
        let info = |child: &Child| ChildInfo {
            id: child.spec.id.clone(),
            key: child.key,
            kind: child.spec.kind,
            state: match child.state {
                _ if child.restarting => ChildState::Restarting,
                RunState::Down => ChildState::Down,
                _ => ChildState::Running(child.incarnation),
            },
        };
        self.list.iter().rev().map(info).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let supervisors = self.list.iter().filter(|child| child.spec.kind == ChildKind::Supervisor).count();
        Counts {
            specs: self.list.len(),
            active: self.list.iter().filter(|child| child.is_running()).count(),
            supervisors,
            workers: self.list.len() - supervisors,
        }
    }
}

impl Index<usize> for Children {
    type Output = Child;

    fn index(&self, position: usize) -> &Child {
        &self.list[position]
    }
}

impl IndexMut<usize> for Children {
    fn index_mut(&mut self, position: usize) -> &mut Child {
        &mut self.list[position]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_capacity_allocates_once() {
        assert!(Children::with_capacity(3).list.capacity() >= 3);
    }

    #[test]
    fn removal_keeps_ranks_and_shifts_positions() {
        let ids = ["a", "b", "c", "d", "e"];
        let mut children = Children::with_capacity(ids.len());
        for id in ids {
            children.push(ChildRules::worker(id));
        }
        let (keys, mut ranks) = ([0, 1, 2, 3, 4].map(ChildKey), children.ranks.clone());
        for (at, removed, positions) in [
            (1, 1, [Some(0), None, Some(1), Some(2), Some(3)]),
            (0, 0, [None, None, Some(0), Some(1), Some(2)]),
            (1, 3, [None, None, Some(0), None, Some(1)]),
            (1, 4, [None, None, Some(0), None, None]),
        ] {
            assert_eq!(children.remove(at).key, keys[removed]);
            ranks.remove(&keys[removed]);
            assert_eq!(children.ranks, ranks);
            assert_eq!(keys.map(|key| children.position(key)), positions);
        }
    }
}
