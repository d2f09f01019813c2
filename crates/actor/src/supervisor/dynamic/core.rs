//! The core of a dynamic supervisor: the arguments of its instances, and the requesters.

use std::sync::Arc;

use actix::{Context, Handler, Message};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildId, ChildInfo, ChildKey, ChildState, ChildStatus, Counts, Event, IdMap, Reply, RequestError,
    RequestId, SpecError, Strategy, Time,
};
use tokio::sync::oneshot;

use crate::cell::Pid;
use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;
use crate::panic::{catch_panic, drop_caught};
use crate::supervisor::actor::{RequestReply, SupervisorActor, SupervisorCore, seed};
use crate::supervisor::child_table::ChildTable;
use crate::supervisor::dynamic::{DynamicSupervisor, Instance, SpawnInstance};
use impresario_supervision::ChildRules;

pub(crate) struct DynamicCore<T: 'static> {
    rules: rules::DynamicSupervisor,
    spawn: SpawnInstance<T>,
    clone_arguments: Option<fn(&T) -> T>,
    mailbox: Option<usize>,
    /// Of instances that are about to start, and of those that may be restarted.
    instances: IdMap<ChildKey, InstanceRecord<T>>,
    pending: IdMap<RequestId, oneshot::Sender<RequestReply>>,
    requests: u64,
}

/// The record of an instance.
struct InstanceRecord<T> {
    arguments: T,
    /// The last ready incarnation, which identifies it.
    pid: Option<Pid>,
    /// The incarnation that is being started.
    next: Option<Pid>,
}

/// The key of a request without a requester.
const NO_REPLY: RequestId = RequestId(0);

impl<T: 'static> DynamicCore<T> {
    /// The dynamic supervisor with this id.
    pub(crate) fn new(supervisor: DynamicSupervisor<T>, id: &ChildId) -> Result<Self, SpecError> {
        let (template, max) = (supervisor.template_of(id), supervisor.max_children);
        let rules = rules::DynamicSupervisor::new(supervisor.flags, template, max)?.seed(seed());
        let DynamicSupervisor { spawn, clone_arguments, mailbox, .. } = supervisor;
        let (instances, pending) = (IdMap::default(), IdMap::default());
        Ok(Self { rules, spawn, clone_arguments, mailbox, instances, pending, requests: NO_REPLY.0 })
    }

    fn replace(&mut self, mut with: DynamicSupervisor<T>) -> Result<(), SpecError> {
        let template = with.template_of(&self.rules.template().id);
        let replaced = self.rules.replace(with.flags, template, with.max_children);
        if replaced.is_ok() {
            std::mem::swap(&mut self.spawn, &mut with.spawn);
            (self.clone_arguments, self.mailbox) = (with.clone_arguments, with.mailbox);
        }
        // What the unused factory captured may panic in its destructor.
        drop_caught(with);
        replaced
    }

    /// The instance with this incarnation, or with this last one if it may be restarted.
    fn key_of(&self, pid: &Pid, children: &ChildTable) -> Option<ChildKey> {
        if children.pid(pid.incarnation()).as_ref() == Some(pid) {
            return self.rules.key_of(pid.incarnation());
        }
        let mut record = self.instances.iter();
        record.find(|(_, instance)| instance.pid.as_ref() == Some(pid)).map(|(key, _)| *key)
    }

    /// Registers a requester and returns its key.
    fn register_request(&mut self, reply_to: oneshot::Sender<RequestReply>) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.pending.insert(id, reply_to);
        id
    }
}

impl<T: 'static> SupervisorCore for DynamicCore<T> {
    fn handle(&mut self, now: Time, event: Event) {
        if let (Event::Started(incarnation), true) = (&event, self.clone_arguments.is_some())
            && let Some(record) = self.rules.key_of(*incarnation).and_then(|key| self.instances.get_mut(&key))
        {
            record.pid = record.next.take();
        }
        self.rules.handle(now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.rules.poll_action()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }

    fn start(&mut self, key: ChildKey, env: ChildContext, mut guard: ExitGuard) {
        let env = match self.mailbox {
            Some(limit) => env.with_mailbox_limit(limit),
            None => env,
        };
        let arguments = match (self.clone_arguments, self.instances.get_mut(&key)) {
            (Some(clone_arguments), Some(record)) => {
                record.next = Some(env.pid());
                // `clone` is user code: its panic is a failed start of this instance only.
                match catch_panic(|| clone_arguments(&record.arguments)) {
                    Ok(arguments) => Some(arguments),
                    Err(reason) => return guard.exited(reason),
                }
            }
            _ => self.instances.remove(&key).map(|record| record.arguments),
        };
        match arguments {
            Some(arguments) => (self.spawn)(env, arguments, guard),
            // It was temporary when it started. An instance that cannot be restarted is not a failure of the
            // others.
            None => guard.ignored(),
        }
    }

    fn forget(&mut self, key: ChildKey) {
        drop_caught(self.instances.remove(&key));
    }

    fn reply(&mut self, to: RequestId, reply: Reply, children: &ChildTable) {
        if to != NO_REPLY
            && let Some(pending) = self.pending.remove(&to)
        {
            // An error means that the caller dropped its future. Nothing is left to do.
            let _ = pending.send(RequestReply::new(reply, children));
        }
    }

    fn strategy(&self) -> Option<Strategy> {
        None
    }

    fn child_statuses(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(self.rules.child_statuses())
    }
}

impl<T: 'static> Drop for DynamicCore<T> {
    /// Drops the factory, and the arguments one by one: a panic in a destructor must not leak the others, nor be the
    /// exit reason of the supervisor.
    fn drop(&mut self) {
        drop_caught(std::mem::replace(&mut self.spawn, Arc::new(|_, _, _| {})));
        std::mem::take(&mut self.instances).into_values().for_each(drop_caught);
    }
}

impl<T: 'static> SupervisorActor<DynamicCore<T>> {
    /// Starts an instance. A refusal drops the arguments, and with them the sender of the reply.
    pub(crate) fn start_instance(&mut self, arguments: T, reply_to: Option<oneshot::Sender<RequestReply>>) {
        let now = self.now();
        let by = reply_to.map_or(NO_REPLY, |reply_to| self.core.register_request(reply_to));
        match self.core.rules.start_child(now, by) {
            Ok(key) => {
                drop(self.core.instances.insert(key, InstanceRecord { arguments, pid: None, next: None }));
            }
            Err(error) => {
                // The destructor of the arguments may panic.
                drop_caught(arguments);
                self.core.reply(by, Reply::Error(error), &self.children);
            }
        }
    }

    pub(crate) fn terminate_instance(&mut self, pid: &Pid, reply_to: oneshot::Sender<RequestReply>) {
        let now = self.now();
        let by = self.core.register_request(reply_to);
        match self.core.key_of(pid, &self.children) {
            Some(key) => self.core.rules.terminate_child(now, by, key),
            None if pid.is_alive() => {
                self.core.reply(by, Reply::Error(RequestError::NotFound), &self.children);
            }
            None => self.core.reply(by, Reply::Done, &self.children),
        }
    }

    pub(crate) fn restart_instance(&mut self, pid: &Pid, reply_to: oneshot::Sender<RequestReply>) {
        let now = self.now();
        let by = self.core.register_request(reply_to);
        match self.core.key_of(pid, &self.children) {
            Some(key) => self.core.rules.restart_child(now, by, key),
            None => self.core.reply(by, Reply::Error(RequestError::NotFound), &self.children),
        }
    }

    pub(crate) fn instances(&self) -> Vec<Instance> {
        let instance = |info: ChildInfo| match info.state {
            ChildState::Running(incarnation) => Some(Instance::Running(self.children.pid(incarnation)?)),
            ChildState::Restarting | ChildState::Down => {
                Some(Instance::Restarting(self.core.instances.get(&info.key)?.pid.clone()?))
            }
        };
        self.core.rules.which_children().into_iter().filter_map(instance).collect()
    }

    pub(crate) fn count_instances(&self) -> Counts {
        self.core.rules.count_children()
    }

    pub(crate) fn template(&self) -> ChildRules {
        self.core.rules.template().clone()
    }

    pub(crate) fn replace(&mut self, with: DynamicSupervisor<T>) -> Result<(), SpecError> {
        self.core.replace(with)
    }
}

/// A request for one more instance, without a requester.
pub(crate) struct StartInstance<T>(pub(crate) T);

impl<T> Message for StartInstance<T> {
    type Result = ();
}

impl<T: Send + 'static> Handler<StartInstance<T>> for SupervisorActor<DynamicCore<T>> {
    type Result = ();

    fn handle(&mut self, StartInstance(arguments): StartInstance<T>, ctx: &mut Context<Self>) {
        self.start_instance(arguments, None);
        self.run_actions(ctx);
    }
}

/// A request to a dynamic supervisor.
pub(crate) struct RunRequest<T: 'static>(pub(crate) Box<RequestFn<T>>);

type RequestFn<T> = dyn FnOnce(&mut SupervisorActor<DynamicCore<T>>) + Send;

impl<T> Message for RunRequest<T> {
    type Result = ();
}

impl<T: 'static> Handler<RunRequest<T>> for SupervisorActor<DynamicCore<T>> {
    type Result = ();

    fn handle(&mut self, RunRequest(request): RunRequest<T>, ctx: &mut Context<Self>) {
        request(self);
        self.run_actions(ctx);
    }
}
