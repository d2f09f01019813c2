//! The plan of a static supervisor: a list of children, and whoever asked for something.

use std::sync::Arc;

use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildKey, ChildStatus, Event, IdMap, Reply, Request, RequestId, SpecError, Strategy, Time,
};
use tokio::sync::oneshot;

use crate::ChildContext;
use crate::driver::{Answer, Plan, seed};
use crate::lives::Lives;
use crate::notify::Notify;
use crate::spec::Starter;
use crate::supervisor::Supervisor;

pub(crate) struct Static {
    rules: rules::Supervisor,
    starters: IdMap<ChildKey, Arc<dyn Starter>>,
    asked: IdMap<RequestId, Asked>,
    requests: u64,
}

/// Somebody who waits for an answer.
pub(crate) struct Asked {
    pub(crate) answer: oneshot::Sender<Answer>,
    /// What starts the children that the request brings.
    pub(crate) starters: Vec<Arc<dyn Starter>>,
}

impl Static {
    pub(crate) fn new(supervisor: Supervisor) -> Result<Self, SpecError> {
        let (flags, specs, starters) = supervisor.into_parts();
        let rules = rules::Supervisor::new(flags, specs)?.seed(seed());
        let starters = rules.keys().zip(starters).collect();
        Ok(Self { rules, starters, asked: IdMap::default(), requests: 0 })
    }

    pub(crate) fn ask(&mut self, now: Time, request: Request, asked: Asked) {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, asked);
        self.rules.request(now, id, request);
    }
}

impl Plan for Static {
    fn handle(&mut self, now: Time, event: Event) {
        self.rules.handle(now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.rules.poll_action()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }

    fn start(&mut self, key: ChildKey, env: ChildContext, notify: Notify) {
        // Without a starter the drop of `notify` says that there is no life.
        if let Some(starter) = self.starters.get(&key) {
            starter.start(env, notify);
        }
    }

    fn forget(&mut self, key: ChildKey) {
        self.starters.remove(&key);
    }

    fn added(&mut self, by: RequestId, key: ChildKey) {
        if let Some(starter) = self.asked.get_mut(&by).and_then(|asked| asked.starters.pop()) {
            self.starters.insert(key, starter);
        }
    }

    fn answer(&mut self, to: RequestId, reply: Reply, lives: &Lives) {
        let Some(asked) = self.asked.remove(&to) else { return };
        if let Reply::Replaced(keys) = &reply {
            self.starters.extend(keys.iter().copied().zip(asked.starters));
        }
        // Who does not wait any more does not need it.
        let _ = asked.answer.send(Answer::new(reply, lives));
    }

    fn strategy(&self) -> Option<Strategy> {
        Some(self.rules.flags().strategy)
    }

    fn census(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(self.rules.child_statuses())
    }
}
