//! A child spec: what starts an incarnation of the child, and the rules for its restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use impresario_supervision as rules;
use impresario_supervision::{Backoff, ChildId, ChildKind, ExitReason, Restart, Shutdown};

use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;

/// What is supervised, and by which rules (OTP: child specification).
///
/// Defaults, as in OTP: permanent; 5 s to stop for a worker, no limit for a supervisor; not significant.
#[must_use = "a child spec does nothing until it is given to a supervisor"]
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) rules: rules::ChildRules,
    pub(crate) starter: Arc<dyn Starter>,
}

/// Starts incarnations of a child.
pub(crate) trait Starter: Send + Sync {
    /// Starts the incarnation of this context. Its events are sent through `guard`, possibly before this
    /// returns.
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

    /// Its id, unique among its siblings.
    pub fn id(&self) -> &ChildId {
        &self.rules.id
    }

    /// Whether it counts as a worker or a supervisor. An actor with children of its own may count as a
    /// supervisor. It changes nothing else; see [`shutdown`](Self::shutdown).
    pub fn kind(mut self, kind: ChildKind) -> Self {
        self.rules.kind = kind;
        self
    }

    /// When it is restarted. Default: always.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// How it is stopped. Default: 5 s for a worker, no limit for a supervisor.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.rules.shutdown = shutdown.into();
        self
    }

    /// Makes the supervisor's auto-shutdown consider it. Default: no.
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// Delays restarts while the child keeps failing. Default: restarts are immediate, as in OTP. The delay
    /// grows as [`Backoff`] describes; a delayed restart counts against the intensity when the failure happens.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff);
        self
    }

    /// Runs every incarnation on this arbiter. Default: the supervisor's arbiter.
    ///
    /// A supervisor that is placed takes its children with it, except those that are placed themselves. When
    /// the arbiter ends, its actors exit with [`ExitReason::Killed`], and a start on it fails with
    /// [`ExitReason::NoProc`].
    pub fn on(mut self, arbiter: ArbiterHandle) -> Self {
        let starter = self.starter;
        self.starter = Arc::new(move |env, guard| {
            let starter = Arc::clone(&starter);
            // An arbiter that has ended drops the function unused, and with it `guard`, which reports the
            // failure.
            arbiter.spawn_fn(move || starter.start(env, guard));
        });
        self
    }

    /// The mailbox limit, in messages. Default: 65,536.
    ///
    /// A message above it is refused with *full*. Unlike actix's limit it is hard. It applies to messages
    /// through an [`ActorRef`](crate::ActorRef) or a [`ChildRef`](crate::ChildRef); a plain `Addr` bypasses it.
    pub fn mailbox_limit(mut self, limit: usize) -> Self {
        let starter = self.starter;
        self.starter =
            Arc::new(move |env: ChildContext, guard| starter.start(env.with_mailbox_limit(limit), guard));
        self
    }

    /// Time limit of a start. A start that takes longer is killed and counts as failed. Default: none.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.rules.start_timeout = Some(timeout);
        self
    }

    /// Gives every incarnation this name in the [`Registry`](crate::Registry), from before its factory runs
    /// until its exit (OTP: `start_link({local, Name}, ..)`).
    ///
    /// So the name follows restarts. If another actor has it, the start fails with an error that names that
    /// actor.
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
        match env.registry().register(&*self.name, &env.pid()) {
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
