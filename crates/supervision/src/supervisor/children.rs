//! The children of a static supervisor: a list in start order, with look-ups that do not walk it.

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

/// What is known of the present life of a child.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunState {
    /// There is none.
    Down,
    /// Told to start, has not answered. Killed when the deadline passes.
    Starting { deadline: Option<Time>, timed_out: bool },
    /// Answered that it is ready, at this time.
    Running { since: Time },
    /// Told to stop, has not exited. Killed when the deadline passes.
    Stopping { deadline: Option<Time>, timed_out: bool },
    /// Exited, and nobody has decided yet what follows.
    Exited { since: Time, reason: ExitReason },
}

#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) key: ChildKey,
    /// How many were put into the list before it; it grows along the list.
    rank: u64,
    pub(crate) spec: ChildRules,
    /// The present life, or the last one.
    pub(crate) incarnation: Incarnation,
    /// How many lives it has had.
    pub(crate) starts: u64,
    pub(crate) state: RunState,
    /// It failed and is to be started again: after what is queued, or when its backoff is over.
    pub(crate) restarting: bool,
    /// When its backoff is over.
    pub(crate) not_before: Option<Time>,
    pub(crate) backoff_state: BackoffState,
}

impl Child {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, RunState::Starting { .. } | RunState::Running { .. } | RunState::Stopping { .. })
    }

    pub(crate) fn status(&self) -> ChildStatus {
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

/// Children in start order. Positions shift when one is removed; keys and ranks do not, so a removal leaves the entries
/// of all others as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children {
    list: Vec<Child>,
    ranks: IdMap<ChildKey, u64>,
    ids: HashMap<ChildId, ChildKey>,
    next_key: u64,
    next_rank: u64,
}

impl Children {
    pub(crate) fn with_capacity(children: usize) -> Self {
        Self { list: Vec::with_capacity(children), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Child> {
        self.list.iter()
    }

    pub(crate) fn position(&self, key: ChildKey) -> Option<usize> {
        let rank = *self.ranks.get(&key)?;
        // It is there if nobody before it was removed, and before that otherwise.
        let last = usize::try_from(rank).ok()?;
        match self.list.get(last) {
            Some(child) if child.rank == rank => Some(last),
            _ => {
                let before = self.list.get(..last).unwrap_or(&self.list);
                before.binary_search_by_key(&rank, |child| child.rank).ok()
            }
        }
    }

    pub(crate) fn position_of(&self, id: &ChildId) -> Option<usize> {
        self.ids.get(id).and_then(|key| self.position(*key))
    }

    /// Adds a child that is down, as the last one; its position. The id must be new.
    pub(crate) fn push(&mut self, spec: ChildRules) -> usize {
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

    /// Puts children with these specs in place; their keys. Who had one of the ids goes on under it; all others
    /// stay, in their order, and count as started after these.
    pub(crate) fn replace(&mut self, specs: Vec<ChildRules>) -> Vec<ChildKey> {
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

    pub(crate) fn remove(&mut self, position: usize) -> Child {
        let child = self.list.remove(position);
        self.ranks.remove(&child.key);
        self.ids.remove(&child.spec.id);
        child
    }

    /// Everybody, latest first, as OTP lists them.
    pub(crate) fn infos(&self) -> Vec<ChildInfo> {
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

    pub(crate) fn counts(&self) -> Counts {
        let supervisors = self.list.iter().filter(|child| child.spec.kind == ChildKind::Supervisor).count();
        Counts {
            specs: self.list.len(),
            active: self.list.iter().filter(|child| child.is_alive()).count(),
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
    fn the_room_for_the_first_children_is_made_at_once() {
        assert!(Children::with_capacity(3).list.capacity() >= 3);
    }

    #[test]
    fn a_removal_costs_the_others_nothing() {
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
