//! What an operator may see of the instances.

use super::DynamicSupervisor;
use super::instance::{Instance, State};
use crate::{ChildKey, ChildStage, ChildStatus};

impl DynamicSupervisor {
    /// Every instance, oldest first.
    pub fn child_statuses(&self) -> impl Iterator<Item = ChildStatus> + '_ {
        let status = |key| Some(self.status(key, self.instances.get(&key)?));
        self.oldest_first().into_iter().filter_map(status)
    }

    fn status(&self, key: ChildKey, instance: &Instance) -> ChildStatus {
        let stage = match instance.state {
            State::Starting { .. } => ChildStage::Starting(instance.incarnation),
            State::Running { .. } => ChildStage::Running(instance.incarnation),
            State::Stopping { .. } => ChildStage::Stopping(instance.incarnation),
            State::Waiting { .. } => instance.timer.map_or(ChildStage::Restarting, ChildStage::Waiting),
        };
        ChildStatus {
            id: self.template.id.clone(),
            key,
            kind: self.template.kind,
            stage,
            restarts: u64::from(instance.starts.saturating_sub(1)),
        }
    }
}
