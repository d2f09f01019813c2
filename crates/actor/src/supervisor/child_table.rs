//! The lives that one supervisor owns.

use std::sync::Arc;

use impresario_supervision::{IdMap, Incarnation};

use crate::cell::{ActorCell, Pid};

/// Who owns a life can end it; and a supervisor that is dropped, for whatever reason, ends all of its own.
///
/// They end at their next turns: those on other arbiters perhaps a moment after their supervisor is started anew, as in OTP.
#[derive(Debug, Default)]
pub(crate) struct ChildTable(IdMap<Incarnation, Arc<ActorCell>>);

impl ChildTable {
    pub(crate) fn insert(&mut self, incarnation: Incarnation, cell: Arc<ActorCell>) {
        self.0.insert(incarnation, cell);
    }

    pub(crate) fn remove(&mut self, incarnation: Incarnation) {
        self.0.remove(&incarnation);
    }

    /// Who lives as this one.
    pub(crate) fn pid(&self, incarnation: Incarnation) -> Option<Pid> {
        self.0.get(&incarnation).map(Pid::of)
    }

    pub(crate) fn get(&self, incarnation: Incarnation) -> Option<&Arc<ActorCell>> {
        self.0.get(&incarnation)
    }

    /// A life that is not there any more has ended; the news is on its way.
    pub(crate) fn stop(&self, incarnation: Incarnation) {
        if let Some(cell) = self.0.get(&incarnation) {
            cell.stop();
        }
    }

    /// See [`stop`](Self::stop).
    pub(crate) fn kill(&self, incarnation: Incarnation) {
        if let Some(cell) = self.0.get(&incarnation) {
            cell.kill();
        }
    }
}

impl Drop for ChildTable {
    fn drop(&mut self) {
        self.0.values().for_each(|cell| cell.kill());
    }
}
