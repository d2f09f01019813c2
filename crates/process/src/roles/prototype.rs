//! A prototype: main's loop again, one process per app, over a pool of workers.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use impresario_wire::Message;

use crate::child_init::process_kind::{ChildFactory, ProcessKind};
use crate::child_init::{ChildInit, say};
use crate::parent::child::Child;
use crate::parent::event_loop::{EventLoop, ParentRole};
use crate::parent::phase::PhaseMachine;
use crate::parent::poller::Source;
use crate::parent::port::Port;
use crate::parent::state::ParentState;
use crate::process_init::{BoxError, error_chain};
use crate::rules::Rules;
use crate::rules::pool::PoolRules;
use crate::{ProcessExit, ProcessLogger};

/// The whole life of a prototype. It stays on the first thread and starts no other, since it forks.
pub(crate) fn run(init: ChildInit) -> ProcessExit {
    let status_port = init.port.try_clone();
    let ProcessLogger { log, guard } = (init.logging)(&init.identity);
    let exit = match build(init, log) {
        Ok((state, role)) => {
            // The house has the port now; a second descriptor would only be one more.
            drop(status_port);
            EventLoop::new(state, role).run()
        }
        Err(error) => {
            if let Ok(status_port) = status_port {
                say(&status_port, &Message::failed(error_chain(&*error)));
            }
            ProcessExit::NotStarted
        }
    };
    drop(guard);
    exit
}

fn build(init: ChildInit, log: slog::Logger) -> Result<(ParentState, Prototype), BoxError> {
    let ProcessKind::Prototype { pool, leaf } = init.plan else {
        return Err("not the plan of a prototype".into());
    };
    let app = init.identity.name.clone();
    let rules = Rules::Pool(PoolRules::new(&pool)?);
    // No deadline of its own: main has one for everything.
    let phases = PhaseMachine::new(None);
    let factory = ChildFactory::new(vec![(app.clone(), ProcessKind::Leaf(leaf))], init.logging);
    let mut state = ParentState::new(init.identity, rules, phases, factory, init.listeners, log)?;
    let parent = Port::new(init.port, init.link);
    state.poller.add(&parent, Source::Parent)?;
    state.parent = Some(parent);
    Ok((state, Prototype { app }))
}

/// What only a prototype does: it tells its parent who of its children is ready and who is gone.
struct Prototype {
    app: String,
}

impl ParentRole for Prototype {
    fn ready(&mut self, state: &mut ParentState) -> bool {
        state.send_to_parent(&Message::Ready, Vec::new())
    }

    fn child_ready(&mut self, state: &mut ParentState, life: u64) -> bool {
        let Some(child) = state.children.get_mut(life) else { return true };
        let announce = child.router_port.take().map(|fd| Rc::new(fd) as Rc<dyn AsFd>);
        let pidfd: Rc<dyn AsFd> = Rc::clone(&child.pidfd) as Rc<dyn AsFd>;
        let process = child.process();
        let message = Message::NewPort { process, app: self.app.clone(), slot: child.identity.slot };
        state.send_to_parent(&message, announce.into_iter().chain([pidfd]).collect())
    }

    fn child_ended(&mut self, state: &mut ParentState, child: &Child) -> bool {
        // Of one that was never ready nobody has heard.
        !child.ready || state.send_to_parent(&Message::RemovePort { process: child.process() }, Vec::new())
    }

    /// Workers say nothing that is not about their own life; the table of who may say what sees to it.
    fn news(&mut self, _house: &mut ParentState, _life: u64, _message: Message, _fds: Vec<OwnedFd>) {}

    fn descendants(&self) -> Vec<String> {
        Vec::new()
    }

    fn kill(&mut self) {}

    fn finish(&mut self, state: &mut ParentState, exit: ProcessExit, reason: &str) {
        if exit != ProcessExit::Done {
            // If it cannot be said, the exit code says that much.
            state.send_to_parent(&Message::failed(reason), Vec::new());
        }
    }
}
