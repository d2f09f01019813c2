//! Main: the process that owns the listeners and everything below, and does nothing that could fail.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use impresario_supervision::{ChildRules, Flags, SpecError, Supervisor};
use impresario_wire::{Message, MessageKind, Role, may_send};
use slog::Logger;

use crate::child_init::process_kind::{ChildFactory, ProcessKind};
use crate::identity::LoggerFactory;
use crate::listen_fds::ListenFds;
use crate::open_files::raise_open_files;
use crate::parent::child::Child;
use crate::parent::event_loop::{EventLoop, ParentRole};
use crate::parent::phase::{KILL_WAIT, PhaseMachine};
use crate::parent::state::ParentState;
use crate::roles::worker_table::{MAX_WORKERS, WorkerEntry, WorkerTable};
use crate::rules::{Rules, seed};
use crate::{PoolSpec, ProcessExit, ProcessIdentity, ProcessInit, ProcessLogger};

/// How long a shutdown may take before everything that is left is killed, if nobody says otherwise.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The root of a tree of processes: binds nothing, parses nothing, runs no thread and no async runtime; it forks
/// its children, watches them, and starts them again by the rules of supervision.
///
/// Children start in the order in which they are added, each when the one before it is ready, and stop in
/// reverse. `TERM` and `INT` drain until the shutdown time-out and kill what is left then; a second one kills at
/// once; `QUIT` drains without a deadline; `HUP`, `USR1` and `USR2` do nothing yet.
pub struct Main {
    logging: LoggerFactory,
    own_logging: Option<ProcessLogger>,
    children: Vec<(ChildRules, ProcessKind)>,
    listeners: ListenFds,
    flags: Flags,
    shutdown_timeout: Duration,
    on_ready: Option<OnReady>,
}

type OnReady = Box<dyn FnOnce(&Logger)>;

/// Why a tree of processes cannot even begin; nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The children or their pools are not what a supervisor can follow.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child wants a listener that there is none of.
    #[error("child {child} inherits the listener {listener:?}, which main does not have; add it to main")]
    Listener {
        /// The child's id.
        child: String,
        /// The listener's name.
        listener: String,
    },
    /// A process of this kind has no place there.
    #[error("child {child}: a {role} process cannot be a child of a {parent} process")]
    Role {
        /// The child's id.
        child: String,
        /// What it is to be.
        role: Role,
        /// Below what.
        parent: Role,
    },
    /// The kernel refused what the loop needs.
    #[error("signals cannot be taken over: {0}; look at the limit on open files")]
    Signals(#[source] io::Error),
}

impl Main {
    /// A tree with no children yet. `logging` makes the logger of each process after its birth; main's and a
    /// prototype's must log synchronously, without a thread. It must not own descriptors: a newborn has none but
    /// 0, 1, 2 and those it is given, so a log file is opened by each process itself.
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

    /// Gives main the logger that was made for it already, instead of making another. The same rules hold for it.
    #[must_use]
    pub fn log(mut self, own: ProcessLogger) -> Self {
        self.own_logging = Some(own);
        self
    }

    /// What main does about all its children.
    #[must_use]
    pub fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// How long a shutdown may take before everything that is left is killed. [`SHUTDOWN_TIMEOUT`] by default.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Keeps a listening socket, which should be non-blocking, under this name for children that inherit it,
    /// in all their lives, until a shutdown begins.
    #[must_use]
    pub fn listener(mut self, name: impl Into<String>, socket: impl Into<OwnedFd>) -> Self {
        self.listeners.insert(name.into(), socket.into());
        self
    }

    /// Adds a leaf, named by its spec's id.
    #[must_use]
    pub fn process(mut self, spec: ChildRules, leaf: impl ProcessInit + 'static) -> Self {
        self.children.push((spec, ProcessKind::Leaf(Box::new(leaf))));
        self
    }

    /// Adds an app, named by its spec's id: a prototype process that forks a pool of leaves and is ready when all
    /// of them are. Give it a supervisor's spec: it stops when its workers have, and main's deadline is for all.
    #[must_use]
    pub fn prototype(mut self, spec: ChildRules, pool: PoolSpec, leaf: impl ProcessInit + 'static) -> Self {
        self.children.push((spec, ProcessKind::Prototype { pool, leaf: Box::new(leaf) }));
        self
    }

    /// Called once, when all children have been ready.
    #[must_use]
    pub fn on_ready(mut self, ready: impl FnOnce(&Logger) + 'static) -> Self {
        self.on_ready = Some(Box::new(ready));
        self
    }

    /// Runs the tree until it ends. Call it while this process has one thread, or every fork is refused.
    ///
    /// The exit is `Done` after a shutdown in time, `NotStarted` when a first start failed, `Fatal` when a child
    /// must not be started again, and `Failed` after the restart limit was reached or something had to be killed;
    /// the reason was logged. When it returns, no process of the tree is left.
    ///
    /// # Errors
    ///
    /// [`RunError`], before anything is started.
    pub fn run(self) -> Result<ProcessExit, RunError> {
        for (spec, plan) in &self.children {
            check(spec, plan, &self.listeners)?;
        }
        let me = ProcessIdentity::main();
        let ProcessLogger { log, guard } = self.own_logging.unwrap_or_else(|| (self.logging)(&me));
        let (specs, plans): (Vec<ChildRules>, Vec<(String, ProcessKind)>) = self
            .children
            .into_iter()
            .map(|(spec, plan)| {
                let name = spec.id.to_string();
                (spec, (name, plan))
            })
            .unzip();
        let rules = Rules::List(Supervisor::new(self.flags, specs)?.seed(seed()));
        raise_open_files(&log);
        let phases = PhaseMachine::new(Some(self.shutdown_timeout));
        let factory = ChildFactory::new(plans, self.logging);
        let state =
            ParentState::new(me, rules, phases, factory, self.listeners, log).map_err(RunError::Signals)?;
        let root = MainRole { routes: WorkerTable::default(), on_ready: self.on_ready };
        let exit = EventLoop::new(state, root).run();
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

/// Finds before the first fork what would fail at each.
fn check(spec: &ChildRules, plan: &ProcessKind, listeners: &ListenFds) -> Result<(), RunError> {
    let child = || spec.id.to_string();
    let place = |parent: Role, role: Role| {
        let fits = may_send(parent, role, MessageKind::Quit) && may_send(role, parent, MessageKind::Ready);
        if fits { Ok(()) } else { Err(RunError::Role { child: child(), role, parent }) }
    };
    place(Role::Main, plan.role())?;
    if let ProcessKind::Prototype { pool, leaf } = plan {
        place(Role::Prototype, leaf.role())?;
        crate::rules::pool::PoolRules::new(pool)?;
    }
    match plan.listeners().into_iter().find(|name| !listeners.has(name)) {
        Some(listener) => Err(RunError::Listener { child: child(), listener }),
        None => Ok(()),
    }
}

/// What only main does: it knows all workers, and tells routers of them.
struct MainRole {
    routes: WorkerTable,
    on_ready: Option<OnReady>,
}

impl ParentRole for MainRole {
    fn ready(&mut self, state: &mut ParentState) -> bool {
        if let Some(ready) = self.on_ready.take() {
            ready(&state.log);
        }
        true
    }

    /// A new router is told of every worker there is; an old one's knowledge has died with it.
    fn child_ready(&mut self, state: &mut ParentState, life: u64) -> bool {
        if state.children.get_mut(life).is_some_and(|child| child.identity.role == Role::Router) {
            for (message, fds) in self.routes.live().filter_map(WorkerEntry::news) {
                state.say(life, &message, fds);
            }
        }
        true
    }

    fn child_ended(&mut self, state: &mut ParentState, child: &Child) -> bool {
        for process in self.routes.remove_owner(child.life) {
            tell_routers(state, &Message::RemovePort { process }, &[]);
        }
        true
    }

    fn news(&mut self, state: &mut ParentState, life: u64, message: Message, fds: Vec<OwnedFd>) {
        let Some(owner) = state.children.get_mut(life).map(|child| child.life) else { return };
        match message {
            Message::NewPort { process, app, slot } => {
                // The decoder has counted the descriptors.
                let Some(route) = WorkerEntry::new(owner, process, app, slot, fds) else { return };
                let Some(route) = self.routes.add(route) else {
                    return state.kill_broken(
                        life,
                        format!("it has more workers than the {MAX_WORKERS} there may be"),
                    );
                };
                if let Some((message, fds)) = route.news() {
                    tell_routers(state, &message, &fds);
                }
            }
            Message::RemovePort { process } => {
                let known = self.routes.remove(owner, process);
                if known {
                    tell_routers(state, &Message::RemovePort { process }, &[]);
                }
            }
            // The table of who may say what has let nothing else through.
            _ => {}
        }
    }

    fn descendants(&self) -> Vec<String> {
        let name = |route: &WorkerEntry| {
            format!("{} {} {} ({})", route.app, Role::Worker, route.slot, route.process)
        };
        self.routes.live().map(name).collect()
    }

    fn kill(&mut self) {
        self.routes.kill();
    }

    fn finish(&mut self, state: &mut ParentState, exit: ProcessExit, reason: &str) {
        for route in self.routes.wait(KILL_WAIT) {
            slog::error!(state.log, "a killed process does not end";
                "child" => format!("{} {} {}", route.app, Role::Worker, route.slot), "child_pid" => route.process);
        }
        if exit == ProcessExit::Done {
            slog::info!(state.log, "done");
        } else {
            slog::crit!(state.log, "ended"; "reason" => reason, "code" => exit.code());
        }
    }
}

/// A router that is on its way out hears of workers too: the connections that it still holds may need the replacement
/// of one that died.
fn tell_routers(state: &mut ParentState, message: &Message, fds: &[Rc<dyn AsFd>]) {
    let hears = |child: &&Child| child.identity.role == Role::Router && child.ready;
    let routers: Vec<u64> = state.children.iter().filter(hears).map(|child| child.life.number()).collect();
    for life in routers {
        state.say(life, message, fds.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;
    use crate::{BoxError, ProcessContext, ProcessStart};

    struct Idle;

    impl ProcessInit for Idle {
        fn role(&self) -> Role {
            Role::Router
        }

        fn setup(self: Box<Self>, _newborn: ProcessContext) -> Result<ProcessStart, BoxError> {
            Ok(Box::new(|| ProcessExit::Done))
        }
    }

    #[test]
    fn main_makes_no_logger_if_it_is_given_one() {
        // Two of the same name, so that nothing is started.
        let main = Main::new(|_| panic!("made another")).log(Logger::root(Discard, o!()).into());
        let main = main.process(ChildRules::worker("a"), Idle).process(ChildRules::worker("a"), Idle);
        assert!(matches!(main.run(), Err(RunError::Spec(_))));
    }
}
