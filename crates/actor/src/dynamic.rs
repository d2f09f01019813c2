//! A supervisor of any number of short-lived actors of one kind.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use impresario_supervision as rules;
use impresario_supervision::{
    Action, ChildId, ChildKey, ChildStatus, Event, Flags, RequestId, Restart, Shutdown, Strategy, Time,
};

use crate::child_ref::ChildRef;
use crate::driver::{Driver, Plan};
use crate::notify::Notify;
use crate::spec::{ChildSpec, Starter, spawn};
use crate::{ActorRef, Env, StartError};

/// The name of a supervisor of temporary actors, each made from one `T` (OTP: `simple_one_for_one`).
///
/// Its instances are independent: one that fails is reported and forgotten. When the supervisor stops, all are told
/// at once and share one deadline.
pub struct DynamicRef<T: Send + 'static>(ChildRef<Driver<Dynamic<T>>>);

impl<T: Send + 'static> DynamicRef<T> {
    /// A name that leads nowhere until the spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// The supervisor itself, as a child of another. Each instance is stopped by the rule `shutdown`.
    pub fn child_spec<A, F>(
        &self,
        id: impl Into<ChildId>,
        shutdown: impl Into<Shutdown>,
        factory: F,
    ) -> ChildSpec
    where
        A: Actor<Context = Context<A>>,
        F: Fn(&Env, T) -> Result<A, StartError> + Send + Sync + 'static,
    {
        let id = id.into();
        let template = rules::ChildSpec {
            restart: Restart::Temporary,
            shutdown: shutdown.into(),
            ..rules::ChildSpec::worker(id.clone())
        };
        let begin = move |env: Env, args: T, notify: Notify| {
            let factory = |env: &Env| factory(env, args);
            spawn(&env, notify, true, factory, drop::<ActorRef<A>>);
        };
        let starter = DynamicStarter { template, begin: Arc::new(begin), name: self.0.clone() };
        ChildSpec { rules: rules::ChildSpec::supervisor(id), starter: Arc::new(starter) }
    }

    /// Starts an instance. Whether it came to life is for its arguments to tell: if not, they are dropped.
    ///
    /// # Errors
    ///
    /// Gives the arguments back when the supervisor is not there.
    pub fn start(&self, args: T) -> Result<(), T> {
        match self.0.addr() {
            Some(supervisor) if supervisor.connected() => {
                supervisor.do_send(Instance(args));
                Ok(())
            }
            _ => Err(args),
        }
    }
}

type Begin<T> = dyn Fn(Env, T, Notify) + Send + Sync;

struct DynamicStarter<T: Send + 'static> {
    template: rules::ChildSpec,
    begin: Arc<Begin<T>>,
    name: ChildRef<Driver<Dynamic<T>>>,
}

impl<T: Send + 'static> Starter for DynamicStarter<T> {
    fn start(&self, env: Env, notify: Notify) {
        let ack = notify.ack();
        let factory = |env: &Env| {
            let rules = rules::DynamicSupervisor::new(Flags::default(), self.template.clone(), None)?;
            let plan = Dynamic { rules, arguments: HashMap::new(), begin: Arc::clone(&self.begin) };
            Ok(Driver::new(plan, env.supervisor(&self.template.id, None)).acknowledge_by(ack))
        };
        spawn(&env, notify, false, factory, |life| self.name.publish(life));
    }
}

/// The plan of a dynamic supervisor.
pub(crate) struct Dynamic<T> {
    rules: rules::DynamicSupervisor,
    /// Arguments of instances that are about to start. Temporary ones start once, so nothing is kept of them.
    arguments: HashMap<ChildKey, T>,
    begin: Arc<Begin<T>>,
}

impl<T: 'static> Plan for Dynamic<T> {
    fn handle(&mut self, now: Time, event: Event) {
        self.rules.handle(now, event);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.rules.poll_action()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.rules.poll_timeout()
    }

    fn start(&mut self, key: ChildKey, env: Env, notify: Notify) {
        if let Some(arguments) = self.arguments.remove(&key) {
            (self.begin)(env, arguments, notify);
        }
    }

    fn forget(&mut self, key: ChildKey) {
        self.arguments.remove(&key);
    }

    fn strategy(&self) -> Option<Strategy> {
        None
    }

    fn census(&self) -> Box<dyn Iterator<Item = ChildStatus> + '_> {
        Box::new(self.rules.census())
    }
}

struct Instance<T>(T);

impl<T> Message for Instance<T> {
    type Result = ();
}

/// Nobody waits for these starts, so their answers need no name.
const NOBODY: RequestId = RequestId(0);

impl<T: Send + 'static> Handler<Instance<T>> for Driver<Dynamic<T>> {
    type Result = ();

    fn handle(&mut self, Instance(arguments): Instance<T>, ctx: &mut Context<Self>) {
        let now = self.now();
        // A refusal drops the arguments, which tells whoever waits for them.
        if let Ok(key) = self.plan.rules.start_child(now, NOBODY) {
            self.plan.arguments.insert(key, arguments);
            self.play(ctx);
        }
    }
}

impl<T: Send + 'static> Default for DynamicRef<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Clone for DynamicRef<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> fmt::Debug for DynamicRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicRef<{}>", std::any::type_name::<T>())
    }
}
