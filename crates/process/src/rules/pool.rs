//! The workers of one app as a list of slots: the rules of `DynamicSupervisor`, started and ready as one.

use std::collections::BTreeMap;

use impresario_supervision::{
    Action, ChildId, ChildKey, ChildRules, DynamicSupervisor, Event, ExitReason, Flags, Reply, RequestError,
    RequestId, SpecError, Time,
};

use crate::rules::seed;

/// How many workers an app has, and what is done about them.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// How many.
    pub size: u32,
    /// What is to be done about each; its id names them in reports.
    pub worker: ChildRules,
    /// How many restarts of all of them together are too many.
    pub flags: Flags,
}

/// The pool's rules in the grammar of a supervisor: `Ready` comes when all slots are, and a first start that fails
/// makes it leave.
#[derive(Clone, Debug)]
pub(crate) struct PoolRules {
    rules: DynamicSupervisor,
    name: ChildId,
    size: u32,
    slots: BTreeMap<ChildKey, u32>,
    started: u32,
    now: Time,
}

impl PoolRules {
    pub(crate) fn new(pool: &PoolSpec) -> Result<Self, SpecError> {
        let rules = DynamicSupervisor::new(pool.flags, pool.worker.clone(), None)?.seed(seed());
        let (name, size) = (pool.worker.id.clone(), pool.size);
        Ok(Self { rules, name, size, slots: BTreeMap::new(), started: 0, now: Time::START })
    }

    /// Which of the pool's workers has this entry.
    pub(crate) fn slot(&self, key: ChildKey) -> u32 {
        self.slots.get(&key).copied().unwrap_or_default()
    }

    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        let begins = event == Event::Start;
        self.rules.handle(now, event);
        if begins {
            // Each keeps its slot through all its lives.
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
                // Of a supervisor that has no children yet. Ours waits for them.
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
                    // Has no effect when it is leaving already.
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
