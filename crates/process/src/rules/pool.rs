//! The workers of one app: a `DynamicSupervisor` with a fixed number of slots that are started together.

use std::collections::BTreeMap;

use impresario_supervision::{
    Action, ChildId, ChildKey, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Reply, RequestError,
    RequestId, SpecError, Time,
};

use super::seed::seed;

/// Number and rules of the workers of an app.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// Number of workers. All pools of a main together have at most 1,024.
    pub size: u32,
    /// Restart and shutdown rules of each worker. Its id names the workers in reports.
    pub worker: ChildRules,
    /// Restart intensity of all workers together.
    pub flags: Flags,
}

/// The rules of a pool, with the events and actions of a supervisor.
///
/// `Action::Ready` comes once, when every slot has started. A first start that fails shuts the pool down.
#[derive(Clone, Debug)]
pub(crate) struct PoolRules {
    rules: DynamicSupervisor,
    name: ChildId,
    size: u32,
    /// The slot of each entry. An entry keeps its slot over all restarts.
    slots: BTreeMap<ChildKey, u32>,
    /// Number of slots that have completed their first start.
    started: u32,
    /// Time of the last event.
    now: Time,
}

impl PoolRules {
    pub(crate) fn new(pool: &PoolSpec) -> Result<Self, SpecError> {
        let rules = DynamicSupervisor::new(pool.flags, pool.worker.clone(), None)?.seed(seed());
        let (name, size) = (pool.worker.id.clone(), pool.size);
        Ok(Self { rules, name, size, slots: BTreeMap::new(), started: 0, now: Time::START })
    }

    /// The slot of an entry; 0 if the entry is unknown.
    pub(crate) fn slot(&self, key: ChildKey) -> u32 {
        self.slots.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        let is_start = event == Event::Start;
        self.rules.handle(now, event);
        if is_start {
            for slot in 0..self.size {
                if let Ok(key) = self.rules.start_child(now, RequestId(slot.into())) {
                    self.slots.insert(key, slot);
                }
            }
        }
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        loop {
            match self.rules.poll_action()? {
                // The dynamic supervisor is ready with no children; the pool is ready when all have started.
                Action::Ready if self.size > 0 => {}
                Action::Reply(_, Reply::Started(..)) => {
                    self.started += 1;
                    if self.started == self.size {
                        return Some(Action::Ready);
                    }
                }
                Action::Reply(id, Reply::Error(RequestError::StartFailed(reason))) => {
                    let child = ChildId::from(format!("{} {}", self.name, id.0));
                    let reason = ExitReason::FailedToStart { child, reason: Box::new(reason) };
                    // Without effect during a shutdown: the first reason stays.
                    self.rules.handle(self.now, Event::Shutdown(reason));
                }
                Action::Reply(..) => {}
                Action::Forget(key) => {
                    self.slots.remove(&key);
                    return Some(Action::Forget(key));
                }
                action => return Some(action),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
