//! Main: the root of a tree of processes.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use impresario_supervision::{ChildRules, Flags, SpecError, Supervisor};
use impresario_wire::{MessageKind, Role, may_send};
use slog::Logger;

use super::main_role::{MainRole, OnReady};
use super::prototype;
use crate::child_init::ChildInit;
use crate::child_init::child_factory::ChildFactory;
use crate::child_init::process_kind::ProcessKind;
use crate::exit::ProcessExit;
use crate::identity::ProcessIdentity;
use crate::listen_fds::ListenFds;
use crate::logging::{LoggerFactory, ProcessLogger};
use crate::open_files::raise_open_files;
use crate::parent::phase::PhaseMachine;
use crate::parent::port::MAX_WORKERS;
use crate::parent::state::ParentState;
use crate::process_init::ProcessInit;
use crate::rules::Rules;
use crate::rules::pool::{PoolRules, PoolSpec};
use crate::rules::seed::seed;

/// Default of [`Main::shutdown_timeout`].
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The root of a tree of processes. It forks its children, watches them, and restarts them by the rules of
/// supervision.
///
/// It parses no input and runs no second thread and no async runtime, so that little in it can fail.
///
/// Children start in the order in which they are added, each when the one before it is ready. They stop in
/// reverse order.
///
/// Signals:
///
/// * `SIGTERM`, `SIGINT`: drain, and kill the remaining processes at the shutdown timeout. A second one kills
///   them immediately.
/// * `SIGQUIT`: drain without a deadline.
/// * `SIGHUP`, `SIGUSR1`, `SIGUSR2`: logged and ignored.
pub struct Main {
    logging: LoggerFactory,
    own_logging: Option<ProcessLogger>,
    children: Vec<(ChildRules, ProcessKind)>,
    listeners: ListenFds,
    flags: Flags,
    shutdown_timeout: Duration,
    on_ready: Option<OnReady>,
}

/// Why a tree of processes cannot start. No process was forked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The supervision rules of the children or of a pool are invalid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child inherits a listener that main does not have.
    #[error("child {child} inherits the listener {listener:?}, which main does not have; add it to main")]
    Listener {
        /// The child's id.
        child: String,
        /// The listener's name.
        listener: String,
    },
    /// A process of this role cannot be a child of that parent.
    #[error("child {child}: a {role} process cannot be a child of a {parent} process")]
    Role {
        /// The child's id.
        child: String,
        /// The role of the child.
        role: Role,
        /// The role of its parent.
        parent: Role,
    },
    /// The pools have more workers together than main keeps.
    #[error(
        "{workers} workers are configured ({pools}), but main keeps at most {max}; reduce the sizes of the pools"
    )]
    TooManyWorkers {
        /// Sum of the sizes of all pools.
        workers: u64,
        /// Each pool with its size.
        pools: String,
        /// The most workers that one main keeps.
        max: usize,
    },
    /// The kernel refused the signalfd or the epoll instance.
    #[error("cannot set up signal handling: {0}; look at the limit on open files")]
    Signals(#[source] io::Error),
}

impl Main {
    /// A tree with no children. `logging` makes the logger of each process, in that process, after the fork.
    ///
    /// Loggers of main and of prototypes must write synchronously: a process with a second thread cannot
    /// fork.
    ///
    /// `logging` must not own descriptors, because a child closes all of them except 0, 1, 2 and those it
    /// inherits. Each process opens its log file itself.
    pub fn new(logging: impl Fn(&ProcessIdentity) -> ProcessLogger + Send + Sync + 'static) -> Self {
        Self {
            logging: Arc::new(logging),
            own_logging: None,
            children: Vec::new(),
            listeners: ListenFds::default(),
            flags: Flags::default(),
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            on_ready: None,
        }
    }

    /// Sets main's own logger. Without it, `logging` makes one. It must write synchronously.
    #[must_use]
    pub fn log(mut self, own: ProcessLogger) -> Self {
        self.own_logging = Some(own);
        self
    }

    /// Restart strategy and intensity for the children of main.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// How long a drain may take; then the remaining processes are killed. Default: [`SHUTDOWN_TIMEOUT`], 10
    /// s.
    ///
    /// It bounds the drain after SIGTERM and SIGINT, and the one after main has given up.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Adds a listening socket that children inherit by this name. It must be non-blocking if the children
    /// poll it.
    ///
    /// Main keeps it open over all restarts and closes it when a drain begins.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>, socket: impl Into<OwnedFd>) -> Self {
        self.listeners.insert(name.into(), socket.into());
        self
    }

    /// Adds a process that forks no children. The id of `spec` is its name.
    #[must_use]
    pub fn process(mut self, spec: ChildRules, init: impl ProcessInit + 'static) -> Self {
        self.children.push((spec, ProcessKind::Leaf(Box::new(init))));
        self
    }

    /// Adds an app: a prototype process that forks a pool of workers. The id of `spec` is its name.
    ///
    /// The prototype is ready when all workers are. `spec` should be that of a supervisor, without a shutdown
    /// timeout: a prototype stops after its workers, and main's shutdown timeout bounds all of them.
    #[must_use]
    pub fn prototype(mut self, spec: ChildRules, pool: PoolSpec, worker: impl ProcessInit + 'static) -> Self {
        self.children.push((spec, ProcessKind::Prototype { pool, worker: Box::new(worker) }));
        self
    }

    /// Calls `ready` once, in main, when all children have been ready.
    #[must_use]
    pub fn on_ready(mut self, ready: impl FnOnce(&Logger) + 'static) -> Self {
        self.on_ready = Some(Box::new(ready));
        self
    }

    /// Runs the tree until it has shut down. Blocks. Every fork fails if this process has a second thread.
    ///
    /// Returns, with the reason in the log:
    ///
    /// * [`ProcessExit::Done`]: the tree was shut down and all processes exited in time.
    /// * [`ProcessExit::NotStarted`]: a first start failed.
    /// * [`ProcessExit::Fatal`]: a child exited with `Fatal`.
    /// * [`ProcessExit::Failed`]: the restart limit was reached, or processes were killed at the shutdown
    ///   timeout.
    ///
    /// Then all processes of the tree have exited. Not covered: a killed process that the kernel has not
    /// ended within 1 s, which is logged, and subprocesses of user code.
    ///
    /// # Errors
    ///
    /// [`RunError`], before the first fork.
    pub fn run(self) -> Result<ProcessExit, RunError> {
        for (spec, kind) in &self.children {
            check(spec, kind, &self.listeners)?;
        }
        check_workers(&self.children)?;
        let me = ProcessIdentity::main();
        let ProcessLogger { log, guard } = self.own_logging.unwrap_or_else(|| (self.logging)(&me));
        let (specs, kinds): (Vec<ChildRules>, Vec<(String, ProcessKind)>) = self
            .children
            .into_iter()
            .map(|(spec, kind)| {
                let name = spec.id.to_string();
                (spec, (name, kind))
            })
            .unzip();
        let rules = Rules::List(Supervisor::new(self.flags, specs)?.seed(seed()));
        raise_open_files(&log);
        let phases = PhaseMachine::new(Some(self.shutdown_timeout));
        let factory = ChildFactory::new(kinds, self.logging, child_main);
        let role = Box::new(MainRole::new(self.on_ready));
        let state = ParentState::new(me, role, rules, phases, factory, self.listeners, log);
        let exit = state.map_err(RunError::Signals)?.run();
        drop(guard);
        Ok(exit)
    }
}

impl fmt::Debug for Main {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children: Vec<&ChildRules> = self.children.iter().map(|(spec, _)| spec).collect();
        f.debug_struct("Main").field("children", &children).finish_non_exhaustive()
    }
}

/// What a child of main runs after it has detached from main.
fn child_main(init: ChildInit) -> ProcessExit {
    match init.kind {
        ProcessKind::Leaf(_) => init.run_leaf(),
        ProcessKind::Prototype { .. } => prototype::run(init),
    }
}

/// Checks before the first fork what would otherwise fail in each fork.
fn check(spec: &ChildRules, kind: &ProcessKind, listeners: &ListenFds) -> Result<(), RunError> {
    let child = || spec.id.to_string();
    let check_role = |parent: Role, role: Role| {
        let fits = may_send(parent, role, MessageKind::Quit) && may_send(role, parent, MessageKind::Ready);
        if fits { Ok(()) } else { Err(RunError::Role { child: child(), role, parent }) }
    };
    check_role(Role::Main, kind.role())?;
    if let ProcessKind::Prototype { pool, worker } = kind {
        check_role(Role::Prototype, worker.role())?;
        PoolRules::new(pool)?;
    }
    match kind.listeners().into_iter().find(|name| !listeners.has(name)) {
        Some(listener) => Err(RunError::Listener { child: child(), listener }),
        None => Ok(()),
    }
}

/// Checks the sum of all pools. Main would kill the prototype that reports worker number [`MAX_WORKERS`] + 1,
/// in each of its incarnations.
fn check_workers(children: &[(ChildRules, ProcessKind)]) -> Result<(), RunError> {
    let pools = children.iter().filter_map(|(spec, kind)| match kind {
        ProcessKind::Prototype { pool, .. } => Some((&spec.id, pool.size)),
        ProcessKind::Leaf(_) => None,
    });
    let workers: u64 = pools.clone().map(|(_, size)| u64::from(size)).sum();
    if workers <= MAX_WORKERS as u64 {
        return Ok(());
    }
    let pools: Vec<String> = pools.map(|(app, size)| format!("{app}: {size}")).collect();
    Err(RunError::TooManyWorkers { workers, pools: pools.join(", "), max: MAX_WORKERS })
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::process_init::{BoxError, ProcessContext, ProcessStart};

    struct Idle(Role);

    impl ProcessInit for Idle {
        fn role(&self) -> Role {
            self.0
        }

        fn setup(self: Box<Self>, _context: ProcessContext) -> Result<ProcessStart, BoxError> {
            Ok(Box::new(|| ProcessExit::Done))
        }
    }

    #[test]
    fn main_with_its_own_logger_makes_no_other() {
        // Two children of the same id, so that no process is started.
        let main =
            Main::new(|_| panic!("the logger factory was called")).log(Logger::root(Discard, o!()).into());
        let child = || (ChildRules::worker("a"), Idle(Role::Router));
        let main = main.process(child().0, child().1).process(child().0, child().1);
        assert!(matches!(main.run(), Err(RunError::Spec(_))));
    }

    #[test]
    fn the_workers_of_all_pools_together_have_a_limit() {
        let check = |sizes: &[u32]| {
            let kind = |size| ProcessKind::Prototype {
                pool: PoolSpec { size, worker: ChildRules::worker("worker"), flags: Flags::default() },
                worker: Box::new(Idle(Role::Worker)),
            };
            let apps = ["shop", "api"].iter().zip(sizes);
            let children: Vec<_> =
                apps.map(|(app, size)| (ChildRules::supervisor(*app), kind(*size))).collect();
            check_workers(&children).map_err(|error| error.to_string())
        };
        assert_eq!(check(&[1000, 24]), Ok(()));
        let error = "1025 workers are configured (shop: 1000, api: 25), but main keeps at most 1024; \
                     reduce the sizes of the pools";
        assert_eq!(check(&[1000, 25]), Err(error.to_owned()));
        assert!(check(&[u32::MAX, u32::MAX]).is_err(), "the sum does not overflow");
    }
}
