//! Calls to simulated supervisors.

use impresario_supervision::{ChildKey, Request, RequestError};

use super::types::{Rules, SupervisorId, VirtualWorld};
use crate::scenario::check::{check, spec, spec_error};
use crate::scenario::plan::SupervisorPlan;
use crate::scenario::step::Call;
use crate::scenario::term::quoted;
use crate::scenario::world::{Answer, CallId, Listed, ProcessId};

impl VirtualWorld {
    pub(super) fn send_call(&mut self, id: SupervisorId, call: CallId, operation: &Call) {
        let answer = match self.supervisors[id.0].rules {
            Rules::Static(_) => self.call_static(id, call, operation),
            Rules::Dynamic(_) => self.call_dynamic(id, call, operation),
        };
        if let Some(answer) = answer {
            self.finish(call, answer);
        }
    }

    /// Passes a call to the rules of a static supervisor. Returns the answer if it does not depend on the
    /// rules.
    fn call_static(&mut self, id: SupervisorId, call: CallId, operation: &Call) -> Option<Answer> {
        let error = |term: &str| Some(Answer::Error(term.to_owned()));
        let auto_shutdown = self.supervisors[id.0].auto_shutdown;
        let request = match operation {
            Call::StartChild(plan) => match spec(&plan.spec, auto_shutdown) {
                Ok(spec) => Request::StartChild(spec),
                Err(term) => return error(&term),
            },
            Call::StartInstance(label) => return error(&format!("{{invalid_child_spec,[{label:?}]}}")),
            Call::Terminate(child) => Request::TerminateChild(child.as_str().into()),
            Call::TerminateProcess(_) | Call::TerminateForeign => return error("not_found"),
            Call::Restart(child) => Request::RestartChild(child.as_str().into()),
            Call::Delete(child) => Request::DeleteChild(child.as_str().into()),
            Call::Which => Request::WhichChildren,
            Call::Count => Request::CountChildren,
            Call::ChildSpec(child) => Request::ChildSpec(child.as_str().into()),
            Call::Upgrade(plan) if plan.init() == Some("ignore") => return Some(Answer::Done),
            Call::Upgrade(plan) => match check(plan) {
                Ok(checked) => Request::ReplaceSpecs(checked.flags, checked.specs),
                Err(refusal) => return error(&refusal.at_upgrade()),
            },
        };
        let now = self.time();
        let supervisor = &mut self.supervisors[id.0];
        let by = supervisor.next_request(call, operation);
        if let Rules::Static(rules) = &mut supervisor.rules {
            rules.request(now, by, request);
        }
        None
    }

    fn call_dynamic(&mut self, id: SupervisorId, call: CallId, operation: &Call) -> Option<Answer> {
        let error = |term: &str| Some(Answer::Error(term.to_owned()));
        match operation {
            Call::StartInstance(label) => self.start_instance(id, call, label),
            Call::StartChild(_) => error("badarg"),
            Call::Terminate(_) | Call::Restart(_) | Call::Delete(_) => error("simple_one_for_one"),
            Call::TerminateProcess(child) => match self.latest.get(child).copied() {
                Some(process) => self.terminate_process(id, call, process),
                None => error("simple_one_for_one"),
            },
            Call::TerminateForeign => error("not_found"),
            Call::Which => Some(self.instances(id)),
            Call::Count => {
                let Rules::Dynamic(rules) = &self.supervisors[id.0].rules else { return None };
                Some(Answer::Counts(rules.count_children()))
            }
            Call::ChildSpec(child) => {
                let Rules::Dynamic(rules) = &self.supervisors[id.0].rules else { return None };
                let spec = Some(rules.template()).filter(|spec| spec.id.as_str() == child);
                Some(spec.map_or(Answer::Error("not_found".to_owned()), |spec| Answer::Spec(spec.clone())))
            }
            Call::Upgrade(plan) => Some(self.upgrade_template(id, plan)),
        }
    }

    fn start_instance(&mut self, id: SupervisorId, call: CallId, label: &str) -> Option<Answer> {
        let now = self.time();
        let supervisor = &mut self.supervisors[id.0];
        let by = supervisor.next_request(call, &Call::StartInstance(label.to_owned()));
        let (Rules::Dynamic(rules), Some(template)) = (&mut supervisor.rules, &supervisor.template) else {
            return None;
        };
        match rules.start_child(now, by) {
            Ok(key) => {
                supervisor.plans.insert(key, (label.to_owned(), template.clone()));
                None
            }
            // The exit of the supervisor, which follows, answers all open calls.
            Err(RequestError::ShuttingDown) => None,
            Err(refused) => Some(Answer::Error(quoted(&refused.to_string()))),
        }
    }

    fn terminate_process(&mut self, id: SupervisorId, call: CallId, process: ProcessId) -> Option<Answer> {
        let key = self.key_of(id, process);
        let Some(key) = key else {
            // OTP does not know whether a dead process was its child, and answers `ok`.
            let dead = !self.processes[process.0].is_alive();
            return Some(if dead { Answer::Done } else { Answer::Error("not_found".to_owned()) });
        };
        let now = self.time();
        let supervisor = &mut self.supervisors[id.0];
        let by = supervisor.next_request(call, &Call::TerminateForeign);
        if let Rules::Dynamic(rules) = &mut supervisor.rules {
            rules.terminate_child(now, by, key);
        }
        None
    }

    fn key_of(&self, id: SupervisorId, process: ProcessId) -> Option<ChildKey> {
        let label = &self.processes[process.0].id;
        let mine = self.processes[process.0].started_by.is_some_and(|(parent, _)| parent == id);
        let plans = self.supervisors[id.0].plans.iter().filter(|_| mine);
        // Labels may repeat, keys do not. The highest key is the latest child with this label.
        plans.filter(|(_, (known, _))| known == label).map(|(key, _)| *key).max()
    }

    /// OTP lists instances by pid, restarting ones last.
    fn instances(&self, id: SupervisorId) -> Answer {
        let supervisor = &self.supervisors[id.0];
        let Rules::Dynamic(rules) = &supervisor.rules else { return Answer::Children(Vec::new()) };
        let children = rules.which_children();
        let mut listed: Vec<Listed> = children.iter().map(|child| self.listed(id, child.state)).collect();
        listed.sort_by_key(|listed| match listed {
            Listed::Process(process) => process.0,
            Listed::Restarting | Listed::Undefined => usize::MAX,
        });
        Answer::Children(listed.into_iter().map(|listed| ("undefined".to_owned(), listed)).collect())
    }

    fn upgrade_template(&mut self, id: SupervisorId, plan: &SupervisorPlan) -> Answer {
        if plan.init() == Some("ignore") {
            return Answer::Done;
        }
        let checked = match check(plan) {
            Ok(checked) => checked,
            Err(refusal) => return Answer::Error(refusal.at_upgrade()),
        };
        let supervisor = &mut self.supervisors[id.0];
        let (Rules::Dynamic(rules), Some(template)) =
            (&mut supervisor.rules, checked.specs.into_iter().next())
        else {
            return Answer::Error("bad_start_spec".to_owned());
        };
        match rules.replace(checked.flags, template, None) {
            Ok(()) => {
                supervisor.template = plan.children.first().cloned();
                supervisor.auto_shutdown = checked.flags.auto_shutdown;
                Answer::Done
            }
            Err(error) => Answer::Error(format!("{{error,{}}}", spec_error(&error))),
        }
    }
}
