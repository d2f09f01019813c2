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
use crate::panic::{catch_panic, drop_caught};

/// A supervisor of any number of instances, each made from one `T` (OTP: `simple_one_for_one`; Elixir:
/// `DynamicSupervisor`).
///
/// A [`DynamicRef`](crate::DynamicRef) starts instances on request, independently of each other: a slow one delays no other. When
/// the supervisor stops, all instances stop at once and share one deadline.
///
/// Defaults are those of a supervisor and its workers, except one: instances are temporary, so their arguments
/// move into them and no copy is kept. See [`restart`](Self::restart).
#[must_use = "a supervisor does nothing until it is made a child"]
#[doc(alias = "simple_one_for_one")]
pub struct DynamicSupervisor<T> {
    pub(crate) template: rules::ChildRules,
    /// Whether `child_id` was called; otherwise instances have the id of the supervisor.
    pub(crate) named: bool,
    pub(crate) flags: Flags,
    pub(crate) max_children: Option<usize>,
    pub(crate) mailbox: Option<usize>,
    pub(crate) log: Option<Logger>,
    pub(crate) spawn: SpawnInstance<T>,
    /// Clones arguments for restarts; `None` if no copy is kept.
    pub(crate) clone_arguments: Option<fn(&T) -> T>,
}

/// Spawns an incarnation of an instance.
pub(crate) type SpawnInstance<T> = Arc<dyn Fn(ChildContext, T, ExitGuard) + Send + Sync>;

/// An instance of a dynamic supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instance {
    /// It is running.
    Running(Pid),
    /// It waits for a restart or is restarting; this was its last pid.
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

    /// Instances made by this async factory. Otherwise as [`ChildSpec::actor_async`].
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

    /// Instances that are started from specs: for example nested supervisors, or actors with names or arbiters
    /// of their own (Elixir: `DynamicSupervisor.start_child` with a child specification).
    ///
    /// Restart type and shutdown of the spec are ignored: those of this supervisor apply to all instances. For
    /// supervisors, use `.kind(ChildKind::Supervisor)` and `.shutdown(Shutdown::Infinity)`.
    pub fn from_specs<F>(factory: F) -> Self
    where
        F: Fn(&ChildContext, T) -> Result<ChildSpec, StartError> + Send + Sync + 'static,
    {
        Self::with_spawner(Arc::new(move |env, arguments, mut guard| {
            match catch_panic(|| factory(&env, arguments)) {
                Ok(Ok(spec)) => {
                    spec.starter.start(env, guard);
                    // What the user's factory captured may panic in its destructor.
                    drop_caught(spec);
                }
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

    /// The name of an instance in reports. Default: the id of the supervisor.
    pub fn child_id(mut self, id: impl Into<ChildId>) -> Self {
        (self.template.id, self.named) = (id.into(), true);
        self
    }

    /// How an instance is stopped. Default: 5 s.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.template.shutdown = shutdown.into();
        self
    }

    /// The restart limit, for all instances together. Default: 3 in 5 s.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.flags.intensity = intensity;
        self
    }

    /// Delays restarts of an instance while it keeps failing. Default: restarts are immediate.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.template.backoff = Some(backoff);
        self
    }

    /// Maximum number of instances; a start beyond it fails immediately. Default: no limit.
    pub fn max_children(mut self, max: usize) -> Self {
        self.max_children = Some(max);
        self
    }

    /// Time limit of a start. A start that takes longer is killed and counts as failed. Default: none.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.template.start_timeout = Some(timeout);
        self
    }

    /// Makes auto-shutdown consider the instances, which must not be permanent then.
    pub fn significant(mut self) -> Self {
        self.template.significant = true;
        self
    }

    /// Whether it shuts down with its significant instances. Default: never.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.flags.auto_shutdown = auto_shutdown;
        self
    }

    /// Whether an instance counts as a worker or a supervisor; see [`ChildSpec::kind`].
    pub fn kind(mut self, kind: ChildKind) -> Self {
        self.template.kind = kind;
        self
    }

    /// The mailbox limit of an instance; see [`ChildSpec::mailbox_limit`].
    pub fn mailbox_limit(mut self, limit: usize) -> Self {
        self.mailbox = Some(limit);
        self
    }

    /// The logger of its reports and of its instances. Default: its parent's.
    pub fn logger(mut self, log: Logger) -> Self {
        self.log = Some(log);
        self
    }
}

impl<T> DynamicSupervisor<T> {
    /// The rules of each instance, for a supervisor with this id.
    pub(crate) fn template_of(&self, supervisor: &ChildId) -> rules::ChildRules {
        let id = if self.named { &self.template.id } else { supervisor };
        rules::ChildRules { id: id.clone(), ..self.template.clone() }
    }
}

impl<T: Clone> DynamicSupervisor<T> {
    /// When an instance is restarted. Default: never.
    ///
    /// A restarted instance is made from a clone of its first arguments; the supervisor keeps them while a
    /// restart is possible.
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
    /// Its pid, or its last one.
    pub fn pid(&self) -> &Pid {
        match self {
            Self::Running(pid) | Self::Restarting(pid) => pid,
        }
    }
}
