//! What a parent process needs to make the next child.

use std::collections::BTreeMap;
use std::io;

use impresario_supervision::{ChildKey, ExitReason};

use super::ChildMain;
use super::panic::PanicCatcher;
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
    /// Catches panics of [`ProcessInit`](crate::process_init::ProcessInit) in the parent.
    panics: PanicCatcher,
}

/// Why the parent has no identity and descriptors for a child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreforkError {
    #[error("no process kind has the index {0}")]
    UnknownKind(usize),
    #[error("prefork: {0}")]
    Io(#[from] io::Error),
    #[error("prefork() {0}")]
    Panic(ExitReason),
}

impl ChildFactory {
    pub(crate) fn new(
        kinds: Vec<(String, ProcessKind)>,
        logging: LoggerFactory,
        child_main: ChildMain,
    ) -> Self {
        Self { kinds, starts: BTreeMap::new(), logging, child_main, panics: PanicCatcher::new() }
    }

    /// In the parent, before the fork: the identity of the next child, and its descriptors. Counts the start.
    ///
    /// Calls user code. A panic there is an error, because it would end the parent and with it all its children.
    pub(crate) fn prefork(
        &mut self,
        key: ChildKey,
        slot: ChildSlot,
    ) -> Result<(ProcessIdentity, Prefork), PreforkError> {
        let Some((name, kind)) = self.kinds.get_mut(slot.kind) else {
            return Err(PreforkError::UnknownKind(slot.kind));
        };
        let incarnation = self.starts.entry(key).or_default();
        *incarnation = incarnation.wrapping_add(1);
        let (name, slot, incarnation) = (name.clone(), slot.slot, *incarnation);
        let prefork = self.panics.catch(|| {
            let identity = ProcessIdentity { role: kind.role(), name, slot, incarnation };
            let prefork = kind.prefork(&identity)?;
            Ok((identity, prefork))
        });
        prefork.unwrap_or_else(|panic| Err(PreforkError::Panic(panic)))
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
