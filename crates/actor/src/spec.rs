//! A child in code: what starts it, and the rules for its lives.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use actix_rt::ArbiterHandle;
use impresario_supervision as rules;
use impresario_supervision::{Backoff, ChildId, ChildKind, ExitReason, Restart, Shutdown, SpecError};

use crate::notify::ExitGuard;
use crate::supervisor::Supervisor;
use crate::{ChildContext, ChildRef, SupervisorRef};

/// What is to be supervised, and how (OTP: child specification).
///
/// The defaults are OTP's: permanent; 5 s to stop for a worker, any time for a supervisor; not significant.
#[must_use = "a child spec does nothing until it is given to a supervisor"]
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) rules: rules::ChildRules,
    pub(crate) starter: Arc<dyn Starter>,
}

/// Begins lives.
pub(crate) trait Starter: Send + Sync {
    /// Begins the life that `env` was made for. How it goes is said through `notify`, perhaps before this returns.
    fn start(&self, env: ChildContext, guard: ExitGuard);
}

impl<F: Fn(ChildContext, ExitGuard) + Send + Sync> Starter for F {
    fn start(&self, env: ChildContext, guard: ExitGuard) {
        self(env, guard);
    }
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
        F: Fn(&ChildContext) -> Result<A, StartError> + Send + Sync + 'static,
    {
        ChildRef::new().child_spec(id, factory)
    }

    /// An actor whose factory takes its time: it connects, reads a file, asks another actor. Otherwise as
    /// [`actor`](Self::actor).
    ///
    /// The factory runs on the arbiter of the child, so its future need not be `Send`, and the supervisor serves
    /// requests meanwhile as its rules say: a static one starts one child at a time, a dynamic one all at once. The life
    /// exists already: told to stop, killed, ended by an exit signal or by its
    /// [start time-out](Self::start_timeout), its future is dropped where it waits.
    pub fn actor_async<A, F, M>(id: impl Into<ChildId>, factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<A, StartError>> + 'static,
    {
        ChildRef::new().child_spec_async(id, factory)
    }

    /// A nested supervisor, made by a function that runs anew for every life (OTP: the callback `init`).
    pub fn supervisor<F>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn(&ChildContext) -> Result<Supervisor, StartError> + Send + Sync + 'static,
    {
        SupervisorRef::new().child_spec(id, init)
    }

    /// A nested supervisor that is made in time, as by [`actor_async`](Self::actor_async).
    pub fn supervisor_async<F, M>(id: impl Into<ChildId>, init: F) -> Self
    where
        F: Fn(ChildContext) -> M + Send + Sync + 'static,
        M: Future<Output = Result<Supervisor, StartError>> + 'static,
    {
        SupervisorRef::new().child_spec_async(id, init)
    }

    pub(crate) fn worker(id: ChildId, starter: impl Starter + 'static) -> Self {
        Self { rules: rules::ChildRules::worker(id), starter: Arc::new(starter) }
    }

    pub(crate) fn nested(id: ChildId, starter: impl Starter + 'static) -> Self {
        Self { rules: rules::ChildRules::supervisor(id), starter: Arc::new(starter) }
    }

    /// What it is called.
    pub fn id(&self) -> &ChildId {
        &self.rules.id
    }

    /// What it is counted as: an actor that has children of its own may be a supervisor. It changes nothing else; see
    /// [`shutdown`](Self::shutdown).
    pub fn kind(mut self, kind: ChildKind) -> Self {
        self.rules.kind = kind;
        self
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
        let starter = self.starter;
        self.starter = Arc::new(move |env, guard| {
            let starter = Arc::clone(&starter);
            // An arbiter that is gone drops the function unused, and with it `notify`, which says that there is no life.
            arbiter.spawn_fn(move || starter.start(env, guard));
        });
        self
    }

    /// How many messages may wait for a life. The default is 65,536.
    ///
    /// One more is answered with *full*. The limit is a hard one, unlike actix's own, and holds for what is sent through an
    /// [`ActorRef`](crate::ActorRef) or a [`ChildRef`]; a plain `Addr` goes past it.
    pub fn mailbox_limit(mut self, limit: usize) -> Self {
        let starter = self.starter;
        self.starter =
            Arc::new(move |env: ChildContext, guard| starter.start(env.with_mailbox_limit(limit), guard));
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
