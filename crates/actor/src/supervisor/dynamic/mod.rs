//! A supervisor of any number of actors of one kind, started on request (OTP: `simple_one_for_one`).
//!
//! It shares the supervisor actor with the static one. No file of `supervisor/` imports this folder.

pub(crate) mod core;
pub(crate) mod dynamic_ref;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context};
use impresario_supervision as rules;
use impresario_supervision::{
    AutoShutdown, Backoff, ChildId, ChildKind, Flags, Intensity, Restart, Shutdown,
};
use slog::Logger;

use crate::cell::Pid;
use crate::cell::actor_ref::ActorRef;
use crate::child::exit_guard::ExitGuard;
use crate::child::spawn::SpawnRequest;
use crate::child::spec::ChildSpec;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::panic::catch_panic;

/// A supervisor of any number of instances, each made from one `T` (OTP: `simple_one_for_one`; Elixir:
/// `DynamicSupervisor`).
///
/// Its instances are started on request, by a [`DynamicRef`], and independently of each other: one that is slow is in
/// nobody's way. When the supervisor stops, all are told at once and share one deadline.
///
/// The defaults are those of a supervisor and its workers, but for one: instances are temporary, so that their arguments
/// move into them and nothing is kept. See [`restart`](Self::restart).
#[must_use = "a supervisor does nothing until it is made a child"]
#[doc(alias = "simple_one_for_one")]
pub struct DynamicSupervisor<T> {
    pub(crate) template: rules::ChildRules,
    /// Whether the template has an id of its own.
    pub(crate) named: bool,
    pub(crate) flags: Flags,
    pub(crate) max_children: Option<usize>,
    pub(crate) mailbox: Option<usize>,
    pub(crate) log: Option<Logger>,
    pub(crate) spawn: SpawnInstance<T>,
    /// How arguments are kept for restarts; `None` if they are not.
    pub(crate) clone_arguments: Option<fn(&T) -> T>,
}

/// Begins the life of an instance.
pub(crate) type SpawnInstance<T> = Arc<dyn Fn(ChildContext, T, ExitGuard) + Send + Sync>;

/// An instance of a dynamic supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instance {
    /// It lives.
    Running(Pid),
    /// It is about to be started again, or just being; this was its last life.
    Restarting(Pid),
}

impl<T: Send + 'static> DynamicSupervisor<T> {
    /// Instances made by this factory, on the supervisor's arbiter. Otherwise as [`ChildSpec::actor`].
    pub fn new<A, F>(factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(&ChildContext, T) -> Result<A, StartError> + Send + Sync + 'static,
    {
        Self::with_spawner(Arc::new(move |env, arguments, guard| {
            let request = SpawnRequest { env, guard, ack: true, on_start: drop::<ActorRef<A>> };
            request.spawn(|env| factory(env, arguments));
        }))
    }

    /// Instances made by this factory in time. Otherwise as [`ChildSpec::actor_async`].
    pub fn new_async<A, F, M>(factory: F) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn(ChildContext, T) -> M + Send + Sync + 'static,
        M: Future<Output = Result<A, StartError>> + 'static,
    {
        Self::with_spawner(Arc::new(move |env, arguments, guard| {
            let request = SpawnRequest { env, guard, ack: true, on_start: drop::<ActorRef<A>> };
            request.spawn_async(|env| factory(env, arguments));
        }))
    }

    /// Instances that are whatever a spec starts: nested supervisors for example, or actors with names or arbiters of their
    /// own (Elixir: `DynamicSupervisor.start_child` with a child specification).
    ///
    /// Of the spec only that counts: when an instance is restarted and how it is stopped is said here, once for all. For
    /// supervisors, say `.kind(ChildKind::Supervisor)` and `.shutdown(Shutdown::Infinity)`.
    pub fn from_specs<F>(factory: F) -> Self
    where
        F: Fn(&ChildContext, T) -> Result<ChildSpec, StartError> + Send + Sync + 'static,
    {
        Self::with_spawner(Arc::new(move |env, arguments, mut guard| {
            match catch_panic(|| factory(&env, arguments)) {
                Ok(Ok(spec)) => spec.starter.start(env, guard),
                Ok(Err(StartError::Ignore)) => guard.ignored(),
                Ok(Err(StartError::Failed(reason))) | Err(reason) => guard.exited(reason),
            }
        }))
    }

    fn with_spawner(spawn: SpawnInstance<T>) -> Self {
        let worker = rules::ChildRules::worker("instance");
        Self {
            template: rules::ChildRules { restart: Restart::Temporary, ..worker },
            named: false,
            flags: Flags::default(),
            max_children: None,
            mailbox: None,
            log: None,
            spawn,
            clone_arguments: None,
        }
    }

    /// What an instance is called in reports. The default is the id of the supervisor.
    pub fn child_id(mut self, id: impl Into<ChildId>) -> Self {
        (self.template.id, self.named) = (id.into(), true);
        self
    }

    /// How an instance is stopped. The default is 5 s.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.template.shutdown = shutdown.into();
        self
    }

    /// How many restarts are too many, of all instances together. The default is 3 in 5 s.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.flags.intensity = intensity;
        self
    }

    /// Lets restarts of an instance wait when it keeps failing. The default is not to.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.template.backoff = Some(backoff);
        self
    }

    /// How many instances there may be; one more is an error at once. The default is any number.
    pub fn max_children(mut self, max: usize) -> Self {
        self.max_children = Some(max);
        self
    }

    /// Kills a start that takes longer, and counts it as failed. The default is to wait for any time.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.template.start_timeout = Some(timeout);
        self
    }

    /// Makes auto-shutdown look at the instances, which must not be permanent then.
    pub fn significant(mut self) -> Self {
        self.template.significant = true;
        self
    }

    /// Whether it ends with its significant instances. The default is never.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.flags.auto_shutdown = auto_shutdown;
        self
    }

    /// What an instance is counted as; see [`ChildSpec::kind`].
    pub fn kind(mut self, kind: ChildKind) -> Self {
        self.template.kind = kind;
        self
    }

    /// How many messages may wait for an instance; see [`ChildSpec::mailbox_limit`].
    pub fn mailbox_limit(mut self, limit: usize) -> Self {
        self.mailbox = Some(limit);
        self
    }

    /// Where its reports go, and those of its instances. The default is its parent's logger.
    pub fn logger(mut self, log: Logger) -> Self {
        self.log = Some(log);
        self
    }
}

impl<T> DynamicSupervisor<T> {
    /// What is done about each instance, if the supervisor is called so.
    pub(crate) fn template_of(&self, supervisor: &ChildId) -> rules::ChildRules {
        let id = if self.named { &self.template.id } else { supervisor };
        rules::ChildRules { id: id.clone(), ..self.template.clone() }
    }
}

impl<T: Clone> DynamicSupervisor<T> {
    /// When an instance is started again. The default is never.
    ///
    /// If it is, it is made from a clone of the arguments that it was first made from; they are kept as long as it may
    /// come back.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.template.restart = restart;
        self.clone_arguments = match restart {
            Restart::Permanent | Restart::Transient => Some(T::clone),
            Restart::Temporary => None,
        };
        self
    }
}

impl<T> Clone for DynamicSupervisor<T> {
    fn clone(&self) -> Self {
        Self {
            template: self.template.clone(),
            log: self.log.clone(),
            spawn: Arc::clone(&self.spawn),
            ..*self
        }
    }
}

impl<T> fmt::Debug for DynamicSupervisor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicSupervisor")
            .field("template", &self.template)
            .field("flags", &self.flags)
            .field("max_children", &self.max_children)
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// Its life, or its last one.
    pub fn pid(&self) -> &Pid {
        match self {
            Self::Running(pid) | Self::Restarting(pid) => pid,
        }
    }
}
