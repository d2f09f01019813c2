//! Requests to a running supervisor.

use super::children::RunState;
use super::{Supervisor, Transition, TransitionKind};
use crate::event::Action;
use crate::id::ChildId;
use crate::policy::spec::{ChildRules, Flags, check_all};
use crate::request::{Reply, Request, RequestError, RequestId};

impl Supervisor {
    /// Handles one request. No transition is under way.
    pub(super) fn handle_request(&mut self, id: RequestId, request: Request) {
        match request {
            Request::StartChild(spec) => self.start_child(id, spec),
            Request::TerminateChild(child) => self.terminate_child(id, &child),
            Request::RestartChild(child) => self.restart_child(id, &child),
            Request::DeleteChild(child) => self.delete_child(id, &child),
            Request::WhichChildren => self.reply(id, Reply::Children(self.children.infos())),
            Request::CountChildren => self.reply(id, Reply::Counts(self.children.counts())),
            Request::ChildSpec(child) => self.child_spec(id, &child),
            Request::ReplaceSpecs(flags, specs) => self.replace_specs(id, flags, specs),
        }
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.actions.push_back(Action::Reply(id, reply));
    }

    pub(super) fn refuse(&mut self, id: RequestId, error: RequestError) {
        self.reply(id, Reply::Error(error));
    }

    fn start_child(&mut self, by: RequestId, spec: ChildRules) {
        if let Err(error) = spec.check(self.flags.auto_shutdown) {
            return self.refuse(by, RequestError::Spec(error));
        }
        if let Some(at) = self.children.position_of(&spec.id) {
            let child = &self.children[at];
            let error = match child.state {
                RunState::Down => RequestError::AlreadyPresent,
                _ => RequestError::AlreadyStarted(child.incarnation),
            };
            return self.refuse(by, error);
        }
        let at = self.children.push(spec);
        let key = self.children[at].key;
        self.actions.push_back(Action::Added(by, key));
        self.transition =
            Some(Transition::start(at..at + 1, TransitionKind::Start { added: true }).requested_by(by, key));
    }

    fn terminate_child(&mut self, by: RequestId, child: &ChildId) {
        let Some(at) = self.children.position_of(child) else {
            return self.refuse(by, RequestError::NotFound);
        };
        let key = self.children[at].key;
        self.transition = Some(Transition::stop(at..at + 1, TransitionKind::Terminate).requested_by(by, key));
    }

    /// The position of a child that is down.
    fn find_down(&self, child: &ChildId) -> Result<usize, RequestError> {
        let at = self.children.position_of(child).ok_or(RequestError::NotFound)?;
        if self.children[at].state == RunState::Down { Ok(at) } else { Err(RequestError::Running) }
    }

    fn restart_child(&mut self, by: RequestId, child: &ChildId) {
        let at = match self.find_down(child) {
            Ok(at) => at,
            Err(error) => return self.refuse(by, error),
        };
        let (key, restarting) = (self.children[at].key, self.children[at].restarting);
        let transition = if self.children[at].not_before.is_some() {
            self.restart_now(at)
        } else if restarting {
            return self.refuse(by, RequestError::Restarting);
        } else {
            Transition::start(at..at + 1, TransitionKind::Start { added: false })
        };
        self.transition = Some(transition.requested_by(by, key));
    }

    fn delete_child(&mut self, by: RequestId, child: &ChildId) {
        match self.find_down(child) {
            Ok(at) if self.children[at].restarting => self.refuse(by, RequestError::Restarting),
            Ok(at) => {
                self.remove(at);
                self.reply(by, Reply::Done);
            }
            Err(error) => self.refuse(by, error),
        }
    }

    fn child_spec(&mut self, by: RequestId, child: &ChildId) {
        match self.children.position_of(child) {
            Some(at) => self.reply(by, Reply::Spec(self.children[at].spec.clone())),
            None => self.refuse(by, RequestError::NotFound),
        }
    }

    fn replace_specs(&mut self, by: RequestId, flags: Flags, specs: Vec<ChildRules>) {
        match check_all(&flags, &specs) {
            Ok(()) => {
                self.flags = flags;
                let keys = self.children.replace(specs);
                self.reply(by, Reply::Replaced(keys));
            }
            Err(error) => self.refuse(by, RequestError::Spec(error)),
        }
    }
}
