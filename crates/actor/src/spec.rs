//! A child in code: what starts it, and the rules for its lives.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::ArbiterHandle;
use impresario_supervision as rules;
use impresario_supervision::{Backoff, ChildId, ExitReason, Restart, Shutdown, SpecError};

use crate::door::Door;
use crate::notify::Notify;
use crate::panic::catch;
use crate::supervisor::Supervisor;
use crate::task::ChildTask;
use crate::{ActorRef, Env, SupervisorRef, mail};

/// What is to be supervised, and how (OTP: child specification).
///
/// The defaults are OTP's: permanent; 5 s to stop for a worker, any time for a supervisor; not significant.
#[must_use = "a child spec does nothing until it is given to a supervisor"]
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) rules: rules::ChildSpec,
    pub(crate) starter: Arc<dyn Starter>,
}

/// Begins lives.
pub(crate) trait Starter: Send + Sync {
    /// Begins the life that `env` was made for. How it goes is said through `notify`, perhaps before this returns.
    fn start(&self, env: Env, notify: Notify);
}

/// Why there is no life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// The child is not needed now. Its spec is kept, unless it is temporary (OTP: `ignore`).
    Ignore,
    /// The child could not start.
    Failed(ExitReason),
}

impl ChildSpec {
    /// An actor, started on the supervisor's arbiter by a factory that runs anew for every life.
    ///
    /// The life counts as started when the actor's `started()` is done, with whatever it waits for by
    /// `ctx.wait()`. A panic or an `Err` in the factory is a failed start.
    pub fn actor<A, F>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(&Env) -> Result<A, StartError> + Send + Sync + 'static,
    {
        Self::worker(id.into(), Arc::new(ActorStarter::new(factory, drop)))
    }

    /// A nested supervisor, made by a function that runs anew for every life (OTP: the callback `init`).
    pub fn supervisor<F>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn(&Env) -> Result<Supervisor, StartError> + Send + Sync + 'static,
    {
        SupervisorRef::new().child_spec(id, init)
    }

    pub(crate) fn worker(id: ChildId, starter: Arc<dyn Starter>) -> Self {
        Self { rules: rules::ChildSpec::worker(id), starter }
    }

    /// When it is started again. The default is always.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// How it is stopped. The default is 5 s for a worker and any time for a supervisor.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.rules.shutdown = shutdown.into();
        self
    }

    /// Makes the supervisor's auto-shutdown look at it.
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// Lets restarts wait when it keeps failing. The default is not to.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff);
        self
    }

    /// Places every life on this arbiter, a thread of its own. The default is the supervisor's arbiter.
    ///
    /// A supervisor that is placed takes those of its children with it that are not placed themselves. If the arbiter is
    /// gone, a start fails as [`ExitReason::NoProc`]; what ran on it has ended as [`ExitReason::Killed`].
    pub fn on(mut self, arbiter: ArbiterHandle) -> Self {
        self.starter = Arc::new(Placed { starter: self.starter, arbiter });
        self
    }

    /// How many messages may wait for a life. The default is 65,536.
    ///
    /// One more is answered with *full*. The limit is a hard one, unlike actix's own, and holds for what is sent through an
    /// [`ActorRef`] or a [`ChildRef`](crate::ChildRef); a plain `Addr` goes past it.
    pub fn mailbox_limit(mut self, limit: usize) -> Self {
        self.starter = Arc::new(Limited { starter: self.starter, limit });
        self
    }

    /// Kills a start that takes longer, and counts it as failed. The default is to wait for any time.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.rules.start_timeout = Some(timeout);
        self
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

/// Starts actors made by `F`, and tells `P` of each life.
pub(crate) struct ActorStarter<F, P> {
    factory: F,
    publish: P,
}

impl<F, P> ActorStarter<F, P> {
    pub(crate) fn new(factory: F, publish: P) -> Self {
        Self { factory, publish }
    }
}

impl<A, F, P> Starter for ActorStarter<F, P>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Env) -> Result<A, StartError> + Send + Sync,
    P: Fn(ActorRef<A>) + Send + Sync,
{
    fn start(&self, env: Env, notify: Notify) {
        spawn(&env, notify, true, &self.factory, |life| (self.publish)(life));
    }
}

/// Begins lives on another arbiter.
struct Placed {
    starter: Arc<dyn Starter>,
    arbiter: ArbiterHandle,
}

impl Starter for Placed {
    fn start(&self, env: Env, notify: Notify) {
        let starter = Arc::clone(&self.starter);
        // An arbiter that is gone drops the function unused, and with it `notify`, which says that there is no life.
        self.arbiter.spawn_fn(move || starter.start(env, notify));
    }
}

/// Begins lives for whom only so many messages may wait.
struct Limited {
    starter: Arc<dyn Starter>,
    limit: usize,
}

impl Starter for Limited {
    fn start(&self, env: Env, notify: Notify) {
        self.starter.start(env.with_mailbox(self.limit), notify);
    }
}

/// Begins a life on this arbiter.
pub(crate) fn spawn<A: Actor<Context = Context<A>>>(
    env: &Env,
    mut notify: Notify,
    ack: bool,
    factory: impl FnOnce(&Env) -> Result<A, StartError>,
    publish: impl FnOnce(ActorRef<A>),
) {
    match catch(|| factory(env)) {
        Ok(Ok(actor)) => {
            let (context, door) = mail::context(env.life(), env.mailbox());
            env.life().open(Arc::<Door<A>>::clone(&door));
            publish(ActorRef::new(env.pid(), Arc::clone(&door)));
            actix_rt::spawn(ChildTask::new(actor, (context, door), env.life(), notify, ack));
        }
        Ok(Err(StartError::Ignore)) => notify.ignored(),
        Ok(Err(StartError::Failed(reason))) | Err(reason) => notify.exited(reason),
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("not needed"),
            Self::Failed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<String> for StartError {
    fn from(why: String) -> Self {
        Self::Failed(ExitReason::Error(why))
    }
}

impl From<&str> for StartError {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        error.to_string().into()
    }
}

impl From<SpecError> for StartError {
    fn from(error: SpecError) -> Self {
        error.to_string().into()
    }
}
