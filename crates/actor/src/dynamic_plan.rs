//! The plan of a dynamic supervisor: arguments of its instances, and whoever asked for something.

use actix::{Context, Handler, Message};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildId, ChildInfo, ChildKey, ChildState, ChildStatus, Counts, Event, IdMap, Reply, RequestError,
    RequestId, SpecError, Strategy, Time,
};
use tokio::sync::oneshot;

use crate::driver::{Answer, Driver, Plan, seed};
use crate::dynamic::Begin;
use crate::dynamic_ref::Instance;
use crate::lives::Lives;
use crate::notify::Notify;
use crate::panic::catch_panic;
use crate::{ChildContext, ChildRules, DynamicSupervisor, Pid};

pub(crate) struct Dynamic<T> {
    rules: rules::DynamicSupervisor,
    begin: Begin<T>,
    copy: Option<fn(&T) -> T>,
    mailbox: Option<usize>,
    /// Of instances that are about to start, and of those that may be started again.
    instances: IdMap<ChildKey, Kept<T>>,
    asked: IdMap<RequestId, oneshot::Sender<Answer>>,
    requests: u64,
}

/// What is kept of an instance.
struct Kept<T> {
    arguments: T,
    /// The last life that was ready, by which it is known.
    pid: Option<Pid>,
    /// The one that is being started.
    next: Option<Pid>,
}

/// Nobody waits for the answer to this.
const NOBODY: RequestId = RequestId(0);

impl<T> Dynamic<T> {
    /// The supervisor `id`.
    pub(crate) fn new(supervisor: DynamicSupervisor<T>, id: &ChildId) -> Result<Self, SpecError> {
        let (template, max) = (supervisor.template_of(id), supervisor.max_children);
        let rules = rules::DynamicSupervisor::new(supervisor.flags, template, max)?.seed(seed());
        let DynamicSupervisor { begin, copy, mailbox, .. } = supervisor;
        let (instances, asked) = (IdMap::default(), IdMap::default());
        Ok(Self { rules, begin, copy, mailbox, instances, asked, requests: NOBODY.0 })
    }

    fn replace(&mut self, with: DynamicSupervisor<T>) -> Result<(), SpecError> {
        let template = with.template_of(&self.rules.template().id);
        self.rules.replace(with.flags, template, with.max_children)?;
        (self.begin, self.copy, self.mailbox) = (with.begin, with.copy, with.mailbox);
        Ok(())
    }

    /// The instance that has this life, or had it last and may come back.
    fn key_of(&self, pid: &Pid, lives: &Lives) -> Option<ChildKey> {
        if lives.pid(pid.incarnation()).as_ref() == Some(pid) {
            return self.rules.key_of(pid.incarnation());
        }
        let mut kept = self.instances.iter();
        kept.find(|(_, instance)| instance.pid.as_ref() == Some(pid)).map(|(key, _)| *key)
    }

    /// Names somebody who waits for an answer.
    fn name(&mut self, answer: oneshot::Sender<Answer>) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, answer);
        id
    }
}

impl<T: 'static> Plan for Dynamic<T> {
    fn handle(&mut self, now: Time, event: Event) {
        if let (Event::Started(life), true) = (&event, self.copy.is_some())
            && let Some(kept) = self.rules.key_of(*life).and_then(|key| self.instances.get_mut(&key))
        {
            kept.pid = kept.next.take();
        }
        self.rules.handle(now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.rules.poll_action()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }

    fn start(&mut self, key: ChildKey, env: ChildContext, notify: Notify) {
        let env = match self.mailbox {
            Some(limit) => env.with_mailbox(limit),
            None => env,
        };
        let arguments = match (self.copy, self.instances.get_mut(&key)) {
            (Some(copy), Some(kept)) => {
                kept.next = Some(env.pid());
                Some(copy(&kept.arguments))
            }
            _ => self.instances.remove(&key).map(|kept| kept.arguments),
        };
        match arguments {
            Some(arguments) => (self.begin)(env, arguments, notify),
            // It was temporary when it was made. One that cannot come back is no failure of those that can.
            None => notify.ignored(),
        }
    }

    fn forget(&mut self, key: ChildKey) {
        let kept = self.instances.remove(&key);
        let _ = catch_panic(move || drop(kept));
    }

    fn answer(&mut self, to: RequestId, reply: Reply, lives: &Lives) {
        if to != NOBODY
            && let Some(asked) = self.asked.remove(&to)
        {
            // Who does not wait any more does not need it.
            let _ = asked.send(Answer::new(reply, lives));
        }
    }

    fn strategy(&self) -> Option<Strategy> {
        None
    }

    fn census(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(self.rules.child_statuses())
    }
}

impl<T: 'static> Driver<Dynamic<T>> {
    /// Starts an instance. A refusal drops the arguments, which tells whoever waits for them.
    pub(crate) fn start_instance(&mut self, arguments: T, answer: Option<oneshot::Sender<Answer>>) {
        let now = self.now();
        let by = answer.map_or(NOBODY, |answer| self.plan.name(answer));
        match self.plan.rules.start_child(now, by) {
            Ok(key) => drop(self.plan.instances.insert(key, Kept { arguments, pid: None, next: None })),
            Err(error) => {
                // They may be anything, even something that panics when it is dropped.
                let _ = catch_panic(move || drop(arguments));
                self.plan.answer(by, Reply::Error(error), &self.lives);
            }
        }
    }

    pub(crate) fn terminate_instance(&mut self, pid: &Pid, answer: oneshot::Sender<Answer>) {
        let now = self.now();
        let by = self.plan.name(answer);
        match self.plan.key_of(pid, &self.lives) {
            Some(key) => self.plan.rules.terminate_child(now, by, key),
            None if pid.is_alive() => {
                self.plan.answer(by, Reply::Error(RequestError::NotFound), &self.lives);
            }
            None => self.plan.answer(by, Reply::Done, &self.lives),
        }
    }

    pub(crate) fn restart_instance(&mut self, pid: &Pid, answer: oneshot::Sender<Answer>) {
        let now = self.now();
        let by = self.plan.name(answer);
        match self.plan.key_of(pid, &self.lives) {
            Some(key) => self.plan.rules.restart_child(now, by, key),
            None => self.plan.answer(by, Reply::Error(RequestError::NotFound), &self.lives),
        }
    }

    pub(crate) fn instances(&self) -> Vec<Instance> {
        let instance = |info: ChildInfo| match info.state {
            ChildState::Running(life) => Some(Instance::Running(self.lives.pid(life)?)),
            ChildState::Restarting | ChildState::Down => {
                Some(Instance::Restarting(self.plan.instances.get(&info.key)?.pid.clone()?))
            }
        };
        self.plan.rules.which_children().into_iter().filter_map(instance).collect()
    }

    pub(crate) fn count_instances(&self) -> Counts {
        self.plan.rules.count_children()
    }

    pub(crate) fn template(&self) -> ChildRules {
        self.plan.rules.template().clone()
    }

    pub(crate) fn replace(&mut self, with: DynamicSupervisor<T>) -> Result<(), SpecError> {
        self.plan.replace(with)
    }
}

/// One more instance, and nobody waits for it.
pub(crate) struct Start<T>(pub(crate) T);

impl<T> Message for Start<T> {
    type Result = ();
}

impl<T: Send + 'static> Handler<Start<T>> for Driver<Dynamic<T>> {
    type Result = ();

    fn handle(&mut self, Start(arguments): Start<T>, ctx: &mut Context<Self>) {
        self.start_instance(arguments, None);
        self.play(ctx);
    }
}

/// What a dynamic supervisor is asked to do.
pub(crate) struct Ask<T: 'static>(pub(crate) Box<TaskHandle<T>>);

type TaskHandle<T> = dyn FnOnce(&mut Driver<Dynamic<T>>) + Send;

impl<T> Message for Ask<T> {
    type Result = ();
}

impl<T: 'static> Handler<Ask<T>> for Driver<Dynamic<T>> {
    type Result = ();

    fn handle(&mut self, Ask(work): Ask<T>, ctx: &mut Context<Self>) {
        work(self);
        self.play(ctx);
    }
}
