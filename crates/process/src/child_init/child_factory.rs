//! What a parent process needs to make the next child.

use std::collections::BTreeMap;
use std::io;

use impresario_supervision::ChildKey;

use super::ChildMain;
use super::process_kind::ProcessKind;
use crate::identity::ProcessIdentity;
use crate::logging::LoggerFactory;
use crate::process_init::Prefork;
use crate::rules::ChildSlot;

/// The kinds of child of one parent process, and the number of starts of each child.
pub(crate) struct ChildFactory {
    /// Each kind with the name of its processes; [`ChildSlot::kind`] is the index.
    kinds: Vec<(String, ProcessKind)>,
    /// Starts of each entry of the rules so far.
    starts: BTreeMap<ChildKey, u32>,
    pub(crate) logging: LoggerFactory,
    /// What each child runs.
    pub(crate) child_main: ChildMain,
}

impl ChildFactory {
    pub(crate) fn new(
        kinds: Vec<(String, ProcessKind)>,
        logging: LoggerFactory,
        child_main: ChildMain,
    ) -> Self {
        Self { kinds, starts: BTreeMap::new(), logging, child_main }
    }

    /// In the parent, before the fork: the identity of the next child, and its descriptors. Counts the start.
    pub(crate) fn prefork(
        &mut self,
        key: ChildKey,
        slot: ChildSlot,
    ) -> io::Result<(ProcessIdentity, Prefork)> {
        let Some((name, kind)) = self.kinds.get_mut(slot.kind) else {
            return Err(io::Error::other(format!("no process kind has the index {}", slot.kind)));
        };
        let incarnation = self.starts.entry(key).or_default();
        *incarnation = incarnation.wrapping_add(1);
        let identity = ProcessIdentity {
            role: kind.role(),
            name: name.clone(),
            slot: slot.slot,
            incarnation: *incarnation,
        };
        let prefork = kind.prefork(&identity)?;
        Ok((identity, prefork))
    }

    /// In the child, after the fork: removes and returns its kind. The child does not need the others.
    pub(crate) fn take_kind(&mut self, slot: ChildSlot) -> ProcessKind {
        self.kinds.swap_remove(slot.kind).1
    }

    /// Drops the start count of an entry that the rules have removed.
    pub(crate) fn forget(&mut self, key: ChildKey) {
        self.starts.remove(&key);
    }
}
