//! The lives that one supervisor owns.

use std::collections::HashMap;
use std::sync::Arc;

use impresario_supervision::Incarnation;

use crate::control::Control;

/// Who owns a life can end it; and a supervisor that is dropped, for whatever reason, ends all of its own.
#[derive(Debug, Default)]
pub(crate) struct Lives(HashMap<Incarnation, Arc<Control>>);

impl Lives {
    pub(crate) fn insert(&mut self, life: Incarnation, control: Arc<Control>) {
        self.0.insert(life, control);
    }

    pub(crate) fn remove(&mut self, life: Incarnation) {
        self.0.remove(&life);
    }

    /// A life that is not there any more has ended; the news is on its way.
    pub(crate) fn stop(&self, life: Incarnation) {
        if let Some(control) = self.0.get(&life) {
            control.stop();
        }
    }

    /// See [`stop`](Self::stop).
    pub(crate) fn kill(&self, life: Incarnation) {
        if let Some(control) = self.0.get(&life) {
            control.kill();
        }
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.values().for_each(|control| control.kill());
    }
}
