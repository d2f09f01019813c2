//! The worker process: serves connections that a router hands over, or that it accepts itself.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use impresario_actor::{AutoShutdown, ChildSpec, Restart, Strategy, Supervisor};
use impresario_port::{Incoming, PortEvent, PortHandle, SendError};
use impresario_process::{BoxError, Prefork, ProcessContext, ProcessIdentity, ProcessInit, ProcessStart};
use impresario_server::{
    Accepted, Acceptor, ClaimOutcome, ConnectionTracker, Connections, ListenSocket, Protocol, RejectError,
};
use impresario_sys::SeqPacket;
use impresario_wire::{Message, PortPolicy, Role, StreamId};
use slog::Logger;

use crate::address::from_wire;
use crate::app::Worker;
use crate::body::{Order, Orders, boot};
use crate::limits;

/// Makes what a worker serves.
pub(crate) type Tree = dyn Fn(Worker, Option<usize>) -> Result<Service, BoxError> + Send + Sync;

/// What a worker serves, whatever its protocol is.
pub(crate) struct Service {
    children: Vec<ChildSpec>,
    connections: ChildSpec,
    gate: ConnectionTracker,
    start: Arc<Start>,
}

type Start = dyn Fn(Accepted) -> Result<(), RejectError> + Send + Sync;

impl Service {
    pub(crate) fn new<P: Protocol>(
        protocol: P,
        children: Vec<ChildSpec>,
        max_connections: Option<usize>,
    ) -> Self {
        let most = max_connections.unwrap_or(usize::MAX).min(limits::connections());
        let connections = Connections::new(protocol).max_connections(most);
        Self {
            children,
            connections: connections.child_spec("connections"),
            gate: connections.gate().clone(),
            start: Arc::new(move |accepted| connections.start(accepted)),
        }
    }
}

/// A worker of an app, as a leaf of the process tree.
pub(crate) struct WorkerLeaf {
    /// The listeners it accepts on itself.
    pub(crate) listeners: Vec<String>,
    /// Whether a router hands connections to it.
    pub(crate) routed: bool,
    pub(crate) tree: Arc<Tree>,
    pub(crate) max_connections: Option<usize>,
}

impl ProcessInit for WorkerLeaf {
    fn role(&self) -> Role {
        Role::Worker
    }

    fn listeners(&self) -> Vec<String> {
        self.listeners.clone()
    }

    fn prefork(&mut self, _child: &ProcessIdentity) -> std::io::Result<Prefork> {
        if !self.routed {
            return Ok(Prefork::default());
        }
        let (worker, router) = SeqPacket::pair()?;
        Ok(Prefork { inherit: vec![worker.into()], router_port: Some(router.into()) })
    }

    fn setup(self: Box<Self>, newborn: ProcessContext) -> Result<ProcessStart, BoxError> {
        let ProcessContext { identity, parent, link, inherited, listeners, log, .. } = newborn;
        let worker = Worker { slot: identity.slot, log: log.clone(), children: Vec::new() };
        let parent = PortHandle::new(parent, link);
        let router = inherited.into_iter().next().map(router_port).transpose()?;
        boot(log.clone(), move |orders| {
            let Service { children, connections, gate, start } = (self.tree)(worker, self.max_connections)?;
            let mut tree = Supervisor::new(Strategy::RestForOne)
                .auto_shutdown(AutoShutdown::AnySignificant)
                .logger(log.clone());
            tree = tree.child(parent_port(&parent, orders.clone()));
            tree = children.into_iter().fold(tree, Supervisor::child);
            if let Some(router) = router {
                // Before connections: what they say to the router at their end still goes through. If it fails, the
                // worker leaves as one that was told to: connections finish, and a new worker gets a new port.
                let desk = Desk { router: router.clone(), start: Arc::clone(&start), orders, log };
                let port = router.child_spec("router", move |event| desk.handle(event));
                tree = tree.child(port.restart(Restart::Temporary).significant());
            }
            tree = tree.child(connections);
            for listener in listeners {
                let start = Arc::clone(&start);
                let id = format!("acceptor {}", listener.name);
                let socket = ListenSocket::try_from(listener.fd)?.with_unix_path(&listener.name);
                tree =
                    tree.child(Acceptor::new(socket, &gate, move |accepted| start(accepted)).child_spec(id));
            }
            // Told to leave, it waits as long as connections last: the parent has the deadline.
            Ok(tree.child(gate.drain_spec("drain", None)))
        })
    }
}

fn router_port(end: OwnedFd) -> Result<PortHandle, BoxError> {
    // Any router: it may be replaced while this worker lives.
    let link = PortPolicy::new(Role::Worker, Role::Router)?;
    Ok(PortHandle::new(SeqPacket::from(end), link))
}

/// The port to the process that forked this one.
pub(crate) fn parent_port(parent: &PortHandle, orders: Orders) -> ChildSpec {
    parent.child_spec("parent", move |event| {
        let order = match event {
            PortEvent::Message(Incoming { message: Message::Quit, .. }) => Order::Quit,
            PortEvent::Message(_) => return,
            PortEvent::Closed(_) => Order::Orphaned,
        };
        // Nobody listens any more when the process is on its way out already.
        let _ = orders.send(order);
    })
}

/// Where connections from the router come in.
#[derive(Clone)]
struct Desk {
    router: PortHandle,
    start: Arc<Start>,
    orders: Orders,
    log: Logger,
}

impl Desk {
    fn handle(&self, event: PortEvent) {
        match event {
            PortEvent::Message(incoming) => self.message(incoming),
            // Without its port it gets no more work, so it makes room for one that does.
            PortEvent::Closed(reason) => {
                let _ =
                    self.orders.send(Order::Replace(format!("the port to the router is closed: {reason}")));
            }
        }
    }

    fn message(&self, incoming: Incoming) {
        let Incoming { stream, message, fds, .. } = incoming;
        let Message::Connection { peer, local, read_ahead } = message else { return };
        let Some(fd) = fds.into_iter().next() else {
            return self.answer(stream, &Message::refused("no connection came with it"));
        };
        match Accepted::from_fd(fd, from_wire(peer)) {
            Ok(accepted) => {
                let accepted = accepted.with_local_addr(from_wire(local));
                let owned = Owned { desk: self.clone(), stream, taken: Arc::default() };
                let (desk, taken) = (self.clone(), Arc::clone(&owned.taken));
                let accepted = accepted.with_read_ahead(read_ahead).with_guard(owned);
                let accepted = accepted.on_outcome(move |outcome| match outcome {
                    ClaimOutcome::Claimed => {
                        taken.store(true, Ordering::Release);
                        desk.answer(stream, &Message::Taken);
                    }
                    ClaimOutcome::Dropped => {
                        desk.answer(stream, &Message::refused("it is full or on its way out"));
                    }
                });
                // One that cannot be started says so by its drop.
                drop((self.start)(accepted));
            }
            Err(error) => self.answer(stream, &Message::refused(error)),
        }
    }

    /// The router waits for this, so it must not be lost when there is no room just now.
    fn answer(&self, stream: StreamId, message: &Message) {
        match self.router.send(stream, message, &[]) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(SendError::Full) => {
                let (router, message) = (self.router.clone(), message.clone());
                actix_rt::spawn(async move { drop(router.send_when_ready(stream, &message, &[]).await) });
            }
            Err(error) => slog::error!(self.log, "cannot answer the router"; "error" => %error),
        }
    }
}

/// Lives as long as the connection does; its drop tells the router that there is one less.
struct Owned {
    desk: Desk,
    stream: StreamId,
    taken: Arc<AtomicBool>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.taken.load(Ordering::Acquire) {
            self.desk.answer(self.stream, &Message::Released);
        }
    }
}
