//! The table of a parent's children.

use std::collections::{BTreeMap, VecDeque};

use impresario_supervision::Incarnation;
use impresario_sys::Pid;

use super::child::Child;

/// How many exited children keep their name and pid here, for reports that the rules make after the exit.
const EXITED_HISTORY: usize = 64;

/// The children that have not been reaped, by id, and the names of the last [`EXITED_HISTORY`] exited ones.
#[derive(Debug, Default)]
pub(super) struct Children {
    running: BTreeMap<u64, Child>,
    exited: VecDeque<(u64, String, Pid)>,
}

impl Children {
    pub(super) fn insert(&mut self, child: Child) {
        self.running.insert(child.id(), child);
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Child> {
        self.running.get_mut(&id)
    }

    /// Removes a child that has exited and records its name and pid.
    pub(super) fn remove_exited(&mut self, id: u64) -> Option<Child> {
        let child = self.running.remove(&id)?;
        if self.exited.len() == EXITED_HISTORY {
            self.exited.pop_front();
        }
        self.exited.push_back((id, child.identity.to_string(), child.pid));
        Some(child)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.running.values()
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }

    /// Name and pid of a child, running or recently exited.
    pub(super) fn name(&self, incarnation: Incarnation) -> Option<(String, Pid)> {
        let id = incarnation.number();
        if let Some(child) = self.running.get(&id) {
            return Some((child.identity.to_string(), child.pid));
        }
        let exited = self.exited.iter().find(|(other, ..)| *other == id);
        exited.map(|(_, name, pid)| (name.clone(), *pid))
    }
}
