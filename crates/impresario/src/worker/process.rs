//! The worker process: its port to the router before the fork, its tree of actors after it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use impresario_actor::{AutoShutdown, ChildSpec, Restart, Strategy, Supervisor};
use impresario_port::{Incoming, PortEvent, PortHandle};
use impresario_process::{BoxError, Prefork, ProcessContext, ProcessIdentity, ProcessInit, ProcessStart};
use impresario_server::{Acceptor, ListenSocket};
use impresario_sys::SeqPacket;
use impresario_wire::{Message, PortPolicy, Role};

use super::hand_over::HandOverReceiver;
use super::{ServiceFactory, Worker, WorkerService};
use crate::actor_tree::{Command, CommandSender, start_tree};

/// The init of a worker process.
pub(crate) struct WorkerProcess {
    /// The listeners on which the worker accepts.
    pub(crate) listeners: Vec<String>,
    /// Whether a router hands connections to the worker.
    pub(crate) routed: bool,
    pub(crate) service_factory: Arc<ServiceFactory>,
    pub(crate) max_connections: Option<usize>,
}

impl ProcessInit for WorkerProcess {
    fn role(&self) -> Role {
        Role::Worker
    }

    fn listeners(&self) -> Vec<String> {
        self.listeners.clone()
    }

    fn prefork(&mut self, _child: &ProcessIdentity) -> io::Result<Prefork> {
        if !self.routed {
            return Ok(Prefork::default());
        }
        let (worker, router) = SeqPacket::pair()?;
        Ok(Prefork { inherit: vec![worker.into()], router_port: Some(router.into()) })
    }

    fn setup(self: Box<Self>, context: ProcessContext) -> Result<ProcessStart, BoxError> {
        let ProcessContext { identity, parent, policy, inherited, listeners, log, .. } = context;
        let worker = Worker { slot: identity.slot, log: log.clone(), children: Vec::new() };
        let parent = PortHandle::new(parent, policy);
        let router = inherited.into_iter().next().map(open_router_port).transpose()?;
        start_tree(log.clone(), move |commands| {
            let service = (self.service_factory)(worker, self.max_connections)?;
            let WorkerService { children, connections, tracker, start } = service;
            let mut tree = Supervisor::new(Strategy::RestForOne)
                .auto_shutdown(AutoShutdown::AnySignificant)
                .logger(log.clone());
            tree = tree.child(parent_port(&parent, commands.clone()));
            tree = children.into_iter().fold(tree, Supervisor::child);
            if let Some(router) = router {
                // Started before the connections, so it stops after them, and their `Released` frames are still sent. It
                // is significant: if it fails, the worker shuts down, and its replacement gets a new port.
                let receiver = HandOverReceiver::new(router.clone(), Arc::clone(&start), commands, log);
                let port = router.child_spec("router", move |event| receiver.handle(event));
                tree = tree.child(port.restart(Restart::Temporary).significant());
            }
            tree = tree.child(connections);
            for listener in listeners {
                let start = Arc::clone(&start);
                let id = format!("acceptor {}", listener.name);
                let socket = ListenSocket::try_from(listener.fd)?.with_unix_path(&listener.name);
                let acceptor = Acceptor::new(socket, &tracker, move |accepted| start(accepted));
                tree = tree.child(acceptor.child_spec(id));
            }
            // Without a deadline: the shutdown timeout of main is the deadline of the drain.
            Ok(tree.child(tracker.drain_spec("drain", None)))
        })
    }
}

/// The worker's end of the port to the router.
fn open_router_port(end: OwnedFd) -> Result<PortHandle, BoxError> {
    // No fixed peer pid: the router may be restarted during the lifetime of the worker.
    let policy = PortPolicy::new(Role::Worker, Role::Router)?;
    Ok(PortHandle::new(SeqPacket::from(end), policy))
}

/// The port to the prototype, as a child.
fn parent_port(parent: &PortHandle, commands: CommandSender) -> ChildSpec {
    parent.child_spec("parent", move |event| {
        let command = match event {
            PortEvent::Message(Incoming { message: Message::Quit, .. }) => Command::Quit,
            PortEvent::Message(_) => return,
            PortEvent::Closed(_) => Command::Orphaned,
        };
        // An error means that the process is exiting already.
        let _ = commands.send(command);
    })
}
