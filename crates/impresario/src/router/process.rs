//! The router process: its listeners, its port to main, and its tree of actors.

use std::time::Duration;

use impresario_actor::{
    ChildContext, ChildRef, DynamicRef, DynamicSupervisor, Intensity, Strategy, Supervisor,
};
use impresario_port::{Incoming, Port, PortEvent, PortHandle};
use impresario_process::{BoxError, ProcessContext, ProcessInit, ProcessStart};
use impresario_server::{Acceptor, ConnectionTracker, ListenSocket, RejectError};
use impresario_wire::{Message, Role};
use slog::Logger;

use super::dispatcher::{Dispatcher, NewConnection, PortMessage, WorkerPort};
use super::inbox::MAX_WAITING_ANSWERS;
use crate::actor_tree::{Command, start_tree};
use crate::limits;

/// Connections that a router holds until workers have taken them, at most half of its descriptors. At the bound it does
/// not accept, and connections wait in the kernel's backlog.
pub(super) const MAX_PENDING: usize = 1_024;

/// Shutdown timeout of a port actor.
const PORT_SHUTDOWN: Duration = Duration::from_secs(1);

/// The init of a router process.
pub(crate) struct RouterProcess {
    pub(crate) listeners: Vec<String>,
}

impl ProcessInit for RouterProcess {
    fn role(&self) -> Role {
        Role::Router
    }

    fn listeners(&self) -> Vec<String> {
        self.listeners.clone()
    }

    fn setup(self: Box<Self>, context: ProcessContext) -> Result<ProcessStart, BoxError> {
        let ProcessContext { identity, parent, policy, listeners, log, .. } = context;
        let parent = PortHandle::new(parent, policy);
        start_tree(log.clone(), move |commands| {
            let limit = MAX_PENDING.min(limits::max_connections() / 2);
            let tracker = ConnectionTracker::new().max_connections(limit);
            let dispatcher = ChildRef::<Dispatcher>::new();
            let ports = DynamicRef::<WorkerPort>::new();

            let to = dispatcher.clone();
            let supervisor = DynamicSupervisor::new(move |context: &ChildContext, port: WorkerPort| {
                Ok(port_actor(to.clone(), port, context.log()))
            });
            let ports_spec = ports.child_spec("ports", supervisor.shutdown(PORT_SHUTDOWN));
            let (incarnation, starter) = (identity.incarnation, ports.clone());
            let dispatcher_spec = dispatcher.child_spec("dispatcher", move |context| {
                Ok(Dispatcher::new(incarnation, starter.clone(), context.log()))
            });
            let to = dispatcher.clone();
            let parent_spec = parent.child_spec("parent", move |event| {
                let command = match event {
                    PortEvent::Message(Incoming { message: Message::Quit, .. }) => Command::Quit,
                    PortEvent::Message(incoming) => {
                        return send_to_dispatcher(&to, PortMessage::Main(incoming));
                    }
                    PortEvent::Closed(_) => Command::Orphaned,
                };
                // An error means that the process is exiting already.
                let _ = commands.send(command);
            });

            // No restarts: a new dispatcher would not know the workers. Main sends their ports to a new router process.
            let mut tree = Supervisor::new(Strategy::RestForOne)
                .intensity(Intensity::new(0, Duration::from_secs(1)))
                .logger(log)
                .child(ports_spec)
                .child(dispatcher_spec)
                .child(parent_spec);
            for listener in listeners {
                let to = dispatcher.clone();
                let id = format!("acceptor {}", listener.name);
                let hand_over = move |accepted| match to.addr() {
                    Some(to) => {
                        to.do_send(NewConnection(accepted));
                        Ok(())
                    }
                    None => Err(RejectError::NotRunning(accepted)),
                };
                let socket = ListenSocket::try_from(listener.fd)?.with_unix_path(&listener.name);
                tree = tree.child(Acceptor::new(socket, &tracker, hand_over).child_spec(id));
            }
            Ok(tree.child(tracker.drain_spec("drain", None)))
        })
    }
}

/// The actor of a worker's port: it puts events into the inbox of the worker and notifies the dispatcher.
///
/// When the worker exceeds [`MAX_WAITING_ANSWERS`], the port is closed: the worker has answered what it was not offered.
fn port_actor(dispatcher: ChildRef<Dispatcher>, port: WorkerPort, log: &Logger) -> Port {
    let WorkerPort { id, handle, inbox } = port;
    let (abort, own_log) = (handle.clone(), log.clone());
    Port::new(handle, log.clone(), move |event| match inbox.push(event) {
        Ok(true) => send_to_dispatcher(&dispatcher, PortMessage::Worker(id)),
        Ok(false) => {}
        Err(_) => {
            slog::error!(own_log, "closing the port of a worker: it has answered more than it was offered";
                "limit" => MAX_WAITING_ANSWERS);
            abort.abort();
        }
    })
}

fn send_to_dispatcher(dispatcher: &ChildRef<Dispatcher>, message: PortMessage) {
    if let Some(dispatcher) = dispatcher.addr() {
        dispatcher.do_send(message);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix::Actor;
    use impresario_port::CloseReason;
    use impresario_sys::SeqPacket;
    use impresario_wire::{PortPolicy, StreamId};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::router::dispatch::WorkerId;
    use crate::router::inbox::Inbox;

    /// Ends the test if the port is not closed.
    const DEADLINE: Duration = Duration::from_secs(30);

    fn log() -> Logger {
        Logger::root(slog::Discard, slog::o!())
    }

    #[test]
    fn a_worker_that_floods_the_router_loses_its_port() {
        actix_rt::System::new().block_on(async {
            let (router, worker) = SeqPacket::pair().unwrap();
            let router = PortHandle::new(router, PortPolicy::new(Role::Router, Role::Worker).unwrap());
            let worker = PortHandle::new(worker, PortPolicy::new(Role::Worker, Role::Router).unwrap());
            let inbox = Arc::new(Inbox::new(0));
            // The dispatcher does not run, so nothing empties the inbox.
            let port = WorkerPort { id: WorkerId(0), handle: router.clone(), inbox: Arc::clone(&inbox) };
            port_actor(ChildRef::new(), port, &log()).start();
            let (events, mut received) = unbounded_channel();
            Port::new(worker.clone(), log(), move |event| drop(events.send(event))).start();
            for number in 0..=MAX_WAITING_ANSWERS as u32 {
                worker.send_when_ready(StreamId::new(0, number), &Message::Taken, &[]).await.unwrap();
            }
            let end = tokio::time::timeout(DEADLINE, received.recv()).await.expect("the port stays open");
            assert!(matches!(end, Some(PortEvent::Closed(CloseReason::Eof))), "{end:?}");
            assert!(router.is_closed());
            assert_eq!(inbox.take().len(), MAX_WAITING_ANSWERS + 1, "the answers and `Closed`");
        });
    }
}
