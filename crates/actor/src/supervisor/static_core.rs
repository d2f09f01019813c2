//! The core of a static supervisor: a list of children, and the requesters.

use std::sync::Arc;

use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildKey, ChildStatus, Event, IdMap, Reply, Request, RequestId, SpecError, Strategy, Time,
};
use tokio::sync::oneshot;

use crate::child::exit_guard::ExitGuard;
use crate::child::spec::Starter;
use crate::context::ChildContext;
use crate::panic::drop_caught;
use crate::supervisor::Supervisor;
use crate::supervisor::actor::{RequestReply, SupervisorCore, seed};
use crate::supervisor::child_table::ChildTable;

pub(crate) struct StaticCore {
    rules: rules::Supervisor,
    starters: IdMap<ChildKey, Arc<dyn Starter>>,
    pending: IdMap<RequestId, PendingRequest>,
    requests: u64,
}

/// A requester.
pub(crate) struct PendingRequest {
    pub(crate) reply: oneshot::Sender<RequestReply>,
    /// The starters of the children that the request adds.
    pub(crate) starters: Vec<Arc<dyn Starter>>,
}

impl StaticCore {
    pub(crate) fn new(supervisor: Supervisor) -> Result<Self, SpecError> {
        let (flags, specs, starters) = supervisor.into_parts();
        let rules = rules::Supervisor::new(flags, specs)?.seed(seed());
        let starters = rules.keys().zip(starters).collect();
        Ok(Self { rules, starters, pending: IdMap::default(), requests: 0 })
    }

    pub(crate) fn request(&mut self, now: Time, request: Request, pending: PendingRequest) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.pending.insert(id, pending);
        self.rules.request(now, id, request);
    }
}

impl SupervisorCore for StaticCore {
    fn handle(&mut self, now: Time, event: Event) {
        self.rules.handle(now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.rules.poll_action()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }

    fn start(&mut self, key: ChildKey, env: ChildContext, guard: ExitGuard) {
        // Without a starter, dropping the guard reports that no incarnation was started.
        if let Some(starter) = self.starters.get(&key) {
            starter.start(env, guard);
        }
    }

    fn forget(&mut self, key: ChildKey) {
        // What the user's factory captured may panic in its destructor.
        drop_caught(self.starters.remove(&key));
    }

    fn added(&mut self, by: RequestId, key: ChildKey) {
        if let Some(starter) = self.pending.get_mut(&by).and_then(|pending| pending.starters.pop()) {
            self.starters.insert(key, starter);
        }
    }

    fn reply(&mut self, to: RequestId, reply: Reply, children: &ChildTable) {
        let Some(PendingRequest { reply: reply_to, starters }) = self.pending.remove(&to) else { return };
        if let Reply::Replaced(keys) = &reply {
            for (key, starter) in keys.iter().zip(starters) {
                drop_caught(self.starters.insert(*key, starter));
            }
        } else {
            starters.into_iter().for_each(drop_caught);
        }
        // An error means that the caller dropped its future. Nothing is left to do.
        let _ = reply_to.send(RequestReply::new(reply, children));
    }

    fn strategy(&self) -> Option<Strategy> {
        Some(self.rules.flags().strategy)
    }

    fn child_statuses(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(self.rules.child_statuses())
    }
}

impl Drop for StaticCore {
    /// Drops the starters one by one: a panic in a destructor must not leak the others, nor be the exit reason of the
    /// supervisor.
    fn drop(&mut self) {
        std::mem::take(&mut self.starters).into_values().for_each(drop_caught);
        let pending = std::mem::take(&mut self.pending).into_values();
        pending.flat_map(|request| request.starters).for_each(drop_caught);
    }
}
