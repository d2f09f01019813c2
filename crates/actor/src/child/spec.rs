//! A child spec: what starts an incarnation of the child, and the rules for its restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use impresario_supervision as rules;
use impresario_supervision::{Backoff, ChildId, ChildKind, ExitReason, Restart, Shutdown};

use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;

/// What is to be supervised, and how (OTP: child specification).
///
/// The defaults are OTP's: permanent; 5 s to stop for a worker, any time for a supervisor; not significant.
#[must_use = "a child spec does nothing until it is given to a supervisor"]
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) rules: rules::ChildRules,
    pub(crate) starter: Arc<dyn Starter>,
}

/// Starts incarnations of a child.
pub(crate) trait Starter: Send + Sync {
    /// Starts the incarnation that `env` was made for. Its events are sent through `guard`, perhaps before this returns.
    fn start(&self, env: ChildContext, guard: ExitGuard);
}

impl<F: Fn(ChildContext, ExitGuard) + Send + Sync> Starter for F {
    fn start(&self, env: ChildContext, guard: ExitGuard) {
        self(env, guard);
    }
}

impl ChildSpec {
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
            // An arbiter that is gone drops the function unused, and with it `guard`, which reports that there is no process.
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

    /// Gives every life this name in the [`Registry`](crate::Registry), from before its factory runs until its end
    /// (OTP: `start_link({local, Name}, ..)`).
    ///
    /// So the name follows restarts. If somebody else has it, the start fails and says who.
    pub fn registered(mut self, name: impl Into<String>) -> Self {
        self.starter = Arc::new(Registered { starter: self.starter, name: name.into() });
        self
    }
}

/// Starts incarnations under a name.
struct Registered {
    starter: Arc<dyn Starter>,
    name: String,
}

impl Starter for Registered {
    fn start(&self, env: ChildContext, mut guard: ExitGuard) {
        match env.system().register(&*self.name, &env.pid()) {
            Ok(()) => self.starter.start(env, guard),
            Err(error) => {
                guard.exited(ExitReason::Error(format!("cannot be registered as {:?}: {error}", self.name)));
            }
        }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}
