//! Answers of the rules, as OTP gives them.

use std::sync::Arc;

use impresario_supervision::{ChildInfo, ChildKey, ChildState, Counts, Reply, RequestError, RequestId};

use super::types::{SupervisorId, UNEXPECTED, VirtualWorld};
use crate::scenario::check::check;
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, Listed, error_text};

impl VirtualWorld {
    pub(super) fn listed(&self, id: SupervisorId, state: ChildState) -> Listed {
        match state {
            ChildState::Down => Listed::Undefined,
            ChildState::Restarting => Listed::Restarting,
            ChildState::Running(incarnation) => self.supervisors[id.0]
                .processes
                .get(&incarnation)
                .map_or(Listed::Undefined, |process| Listed::Process(*process)),
        }
    }

    /// Stores the plan of a child that a call has added.
    pub(super) fn added(&mut self, id: SupervisorId, request: RequestId, key: ChildKey) {
        let supervisor = &mut self.supervisors[id.0];
        if let Some((_, Call::StartChild(plan))) = supervisor.requests.get(&request) {
            supervisor.plans.insert(key, (plan.id.clone(), plan.clone()));
        }
    }

    pub(super) fn reply(&mut self, id: SupervisorId, request: RequestId, reply: Reply) {
        // The exit of the supervisor, which follows, answers all open calls.
        if reply == Reply::Error(RequestError::ShuttingDown) {
            return;
        }
        if request == UNEXPECTED {
            return self.report_unexpected();
        }
        let Some((call, operation)) = self.supervisors[id.0].requests.remove(&request) else { return };
        let answer = self.answer(id, &operation, reply);
        self.finish(call, answer);
    }

    fn answer(&mut self, id: SupervisorId, operation: &Call, reply: Reply) -> Answer {
        match reply {
            Reply::Started(_, incarnation) => {
                let process = self.supervisors[id.0].processes[&incarnation];
                Answer::Started { process, extra: self.processes[process.0].extra }
            }
            Reply::Ignored => Answer::Undefined,
            Reply::Error(error) => self.error(id, operation, &error),
            Reply::Children(children) => {
                let line = |child: &ChildInfo| (child.id.to_string(), self.listed(id, child.state));
                Answer::Children(children.iter().map(line).collect())
            }
            Reply::Counts(counts) => {
                let active = counts.active - self.supervisors[id.0].unreported_exits.len();
                Answer::Counts(Counts { active, ..counts })
            }
            Reply::Spec(spec) => Answer::Spec(spec),
            Reply::Replaced(keys) => {
                self.replaced(id, operation, &keys);
                Answer::Done
            }
            _ => Answer::Done,
        }
    }

    fn replaced(&mut self, id: SupervisorId, operation: &Call, keys: &[ChildKey]) {
        let Call::Upgrade(plan) = operation else { return };
        let plan = Arc::clone(plan);
        let supervisor = &mut self.supervisors[id.0];
        for (key, child) in keys.iter().zip(&plan.children) {
            supervisor.plans.insert(*key, (child.id.clone(), child.clone()));
        }
        supervisor.auto_shutdown =
            check(&plan).map_or(supervisor.auto_shutdown, |checked| checked.flags.auto_shutdown);
    }

    fn error(&self, id: SupervisorId, operation: &Call, error: &RequestError) -> Answer {
        match error {
            RequestError::AlreadyStarted(incarnation) => {
                Answer::AlreadyStarted(self.supervisors[id.0].processes[incarnation])
            }
            error => Answer::Error(error_text(error, operation)),
        }
    }
}
