//! A prototype: the parent process of the workers of one app. In NGINX Unit: the app prototype.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use impresario_wire::Message;
use slog::Logger;

use crate::child_init::ChildInit;
use crate::child_init::child_factory::ChildFactory;
use crate::child_init::panic::catch_panic;
use crate::child_init::process_kind::ProcessKind;
use crate::child_init::status_port::send_blocking;
use crate::error_chain::error_chain;
use crate::exit::ProcessExit;
use crate::identity::ProcessIdentity;
use crate::listen_fds::ListenFds;
use crate::logging::{LoggerFactory, ProcessLogger};
use crate::parent::child::Child;
use crate::parent::phase::PhaseMachine;
use crate::parent::role::{Command, ParentRole};
use crate::parent::state::ParentState;
use crate::process_init::BoxError;
use crate::rules::Rules;
use crate::rules::pool::PoolRules;

/// Runs a prototype until it exits. It stays on the first thread and starts no other: `fork` needs a process
/// with one thread.
pub(super) fn run(init: ChildInit) -> ProcessExit {
    let ChildInit { identity, kind, port, policy, listen_fds, logging, .. } = init;
    let ProcessLogger { log, guard } = match catch_panic(|| logging(&identity)) {
        Ok(logger) => logger,
        Err(panic) => {
            send_blocking(&port, &Message::failed(format!("logger factory {panic}")));
            return ProcessExit::Panicked;
        }
    };
    let built = match build(identity, kind, listen_fds, logging, log) {
        Ok(mut state) => match state.set_parent(port, policy) {
            Ok(()) => Ok(state),
            Err((port, error)) => Err((port, error.into())),
        },
        Err(error) => Err((port, error)),
    };
    let exit = match built {
        Ok(state) => state.run(),
        Err((port, error)) => {
            send_blocking(&port, &Message::failed(error_chain(&*error)));
            ProcessExit::NotStarted
        }
    };
    drop(guard);
    exit
}

fn build(
    identity: ProcessIdentity,
    kind: ProcessKind,
    listen_fds: ListenFds,
    logging: LoggerFactory,
    log: Logger,
) -> Result<ParentState, BoxError> {
    let ProcessKind::Prototype { pool, worker } = kind else {
        return Err("the process kind is not a prototype".into());
    };
    let app = identity.name.clone();
    let rules = Rules::Pool(PoolRules::new(&pool)?);
    // No deadline: main's deadline bounds the shutdown of the whole tree.
    let phases = PhaseMachine::new(None);
    let kinds = vec![(app.clone(), ProcessKind::Leaf(worker))];
    let factory = ChildFactory::new(kinds, logging, ChildInit::run_leaf);
    let role = Box::new(PrototypeRole { app });
    Ok(ParentState::new(identity, role, rules, phases, factory, listen_fds, log)?)
}

/// The role of a prototype: it reports to main which workers are ready and which have exited.
struct PrototypeRole {
    app: String,
}

impl ParentRole for PrototypeRole {
    fn ready(&mut self, _log: &Logger) -> Vec<Command> {
        vec![Command::SendToParent(Message::Ready, Vec::new())]
    }

    fn child_ready(&mut self, child: &mut Child) -> Vec<Command> {
        let router_port = child.router_port.take().map(|fd| Rc::new(fd) as Rc<dyn AsFd>);
        let pidfd = Rc::clone(&child.pidfd) as Rc<dyn AsFd>;
        let message =
            Message::NewPort { process: child.process(), app: self.app.clone(), slot: child.identity.slot };
        vec![Command::SendToParent(message, router_port.into_iter().chain([pidfd]).collect())]
    }

    fn child_exited(&mut self, child: &Child) -> Vec<Command> {
        // Main was not notified of a worker that never became ready.
        if !child.ready {
            return Vec::new();
        }
        vec![Command::SendToParent(Message::RemovePort { process: child.process() }, Vec::new())]
    }

    /// A worker may send nothing but READY and FAILED to a prototype; the port policy rejects all other
    /// messages.
    fn on_child_message(&mut self, _child: &Child, _message: Message, _fds: Vec<OwnedFd>) -> Vec<Command> {
        Vec::new()
    }

    fn descendants(&self) -> Vec<String> {
        Vec::new()
    }

    fn kill_descendants(&mut self) {}

    fn finish(&mut self, _log: &Logger, exit: ProcessExit, reason: &str) -> Option<Message> {
        (exit != ProcessExit::Done).then(|| Message::failed(reason))
    }
}
