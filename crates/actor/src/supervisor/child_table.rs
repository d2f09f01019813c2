//! The incarnations that one supervisor owns.

use std::sync::Arc;

use impresario_supervision::{IdMap, Incarnation};

use crate::cell::{ActorCell, Pid};

/// The incarnations of one supervisor. Its destructor kills them all.
///
/// They exit at their next poll: on other arbiters possibly shortly after the restart of their supervisor, as
/// in OTP.
#[derive(Debug, Default)]
pub(crate) struct ChildTable(IdMap<Incarnation, Arc<ActorCell>>);

impl ChildTable {
    pub(crate) fn insert(&mut self, incarnation: Incarnation, cell: Arc<ActorCell>) {
        self.0.insert(incarnation, cell);
    }

    pub(crate) fn remove(&mut self, incarnation: Incarnation) {
        self.0.remove(&incarnation);
    }

    /// The pid of this incarnation.
    pub(crate) fn pid(&self, incarnation: Incarnation) -> Option<Pid> {
        self.0.get(&incarnation).map(Pid::of)
    }

    pub(crate) fn get(&self, incarnation: Incarnation) -> Option<&Arc<ActorCell>> {
        self.0.get(&incarnation)
    }

    /// An incarnation that is not here has exited; its event is queued.
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
