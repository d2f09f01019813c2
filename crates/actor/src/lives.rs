//! The lives that one supervisor owns.

use std::sync::Arc;

use impresario_supervision::{IdMap, Incarnation};

use crate::Pid;
use crate::life::Life;

/// Who owns a life can end it; and a supervisor that is dropped, for whatever reason, ends all of its own.
///
/// They end at their next turns: those on other arbiters perhaps a moment after their supervisor is started anew, as in OTP.
#[derive(Debug, Default)]
pub(crate) struct Lives(IdMap<Incarnation, Arc<Life>>);

impl Lives {
    pub(crate) fn insert(&mut self, incarnation: Incarnation, life: Arc<Life>) {
        self.0.insert(incarnation, life);
    }

    pub(crate) fn remove(&mut self, life: Incarnation) {
        self.0.remove(&life);
    }

    /// Who lives as this one.
    pub(crate) fn pid(&self, life: Incarnation) -> Option<Pid> {
        self.0.get(&life).map(Pid::of)
    }

    pub(crate) fn get(&self, life: Incarnation) -> Option<&Arc<Life>> {
        self.0.get(&life)
    }

    /// A life that is not there any more has ended; the news is on its way.
    pub(crate) fn stop(&self, life: Incarnation) {
        if let Some(life) = self.0.get(&life) {
            life.stop();
        }
    }

    /// See [`stop`](Self::stop).
    pub(crate) fn kill(&self, life: Incarnation) {
        if let Some(life) = self.0.get(&life) {
            life.kill();
        }
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.values().for_each(|life| life.kill());
    }
}
