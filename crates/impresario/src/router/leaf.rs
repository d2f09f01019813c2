//! The router as a leaf of the process tree.

use std::time::Duration;

use impresario_actor::{
    ChildContext, ChildRef, DynamicRef, DynamicSupervisor, Intensity, Strategy, Supervisor,
};
use impresario_port::{Incoming, Port, PortEvent, PortHandle};
use impresario_process::{BoxError, ProcessContext, ProcessInit, ProcessStart};
use impresario_server::{Acceptor, ConnectionTracker, ListenSocket, RejectError};
use impresario_wire::{Message, Role};

use super::dispatcher::{Arrived, Dispatcher, News, WorkerPort};
use crate::body::{Order, boot};
use crate::limits;

/// How many connections a router holds until workers have taken them, at most half of its descriptors. Beyond it, it
/// does not accept: what comes then waits in the kernel.
const MAX_HELD: usize = 1_024;

/// How long a port actor may take to stop.
const PORT_SHUTDOWN: Duration = Duration::from_secs(1);

pub(crate) struct RouterLeaf {
    pub(crate) listeners: Vec<String>,
}

impl ProcessInit for RouterLeaf {
    fn role(&self) -> Role {
        Role::Router
    }

    fn listeners(&self) -> Vec<String> {
        self.listeners.clone()
    }

    fn setup(self: Box<Self>, newborn: ProcessContext) -> Result<ProcessStart, BoxError> {
        let ProcessContext { identity, parent, link, listeners, log, .. } = newborn;
        let parent = PortHandle::new(parent, link);
        boot(log.clone(), move |orders| {
            let gate = ConnectionTracker::new().max_connections(MAX_HELD.min(limits::connections() / 2));
            let dispatcher = ChildRef::<Dispatcher>::new();
            let ports = DynamicRef::<WorkerPort>::new();

            let to = dispatcher.clone();
            let supervisor = DynamicSupervisor::new(move |env: &ChildContext, port: WorkerPort| {
                let (to, id) = (to.clone(), port.id);
                let deliver = move |event| tell(&to, News::Worker(id, event));
                Ok(Port::new(port.handle, env.log().clone(), deliver))
            });
            let ports_spec = ports.child_spec("ports", supervisor.shutdown(PORT_SHUTDOWN));
            let (generation, links) = (identity.incarnation, ports.clone());
            let dispatcher_spec = dispatcher.child_spec("dispatcher", move |env| {
                Ok(Dispatcher::new(generation, links.clone(), env.log()))
            });
            let to = dispatcher.clone();
            let parent_spec = parent.child_spec("parent", move |event| {
                let order = match event {
                    PortEvent::Message(Incoming { message: Message::Quit, .. }) => Order::Quit,
                    PortEvent::Message(incoming) => return tell(&to, News::Main(incoming)),
                    PortEvent::Closed(_) => Order::Orphaned,
                };
                let _ = orders.send(order);
            });

            // What the dispatcher knows cannot be made again in this process; main gives it to the next one.
            let mut tree = Supervisor::new(Strategy::RestForOne)
                .intensity(Intensity::new(0, Duration::from_secs(1)))
                .logger(log)
                .child(ports_spec)
                .child(dispatcher_spec)
                .child(parent_spec);
            for listener in listeners {
                let to = dispatcher.clone();
                let id = format!("acceptor {}", listener.name);
                let arrive = move |accepted| match to.addr() {
                    Some(to) => {
                        to.do_send(Arrived(accepted));
                        Ok(())
                    }
                    None => Err(RejectError::NotRunning(accepted)),
                };
                let socket = ListenSocket::try_from(listener.fd)?.with_unix_path(&listener.name);
                tree = tree.child(Acceptor::new(socket, &gate, arrive).child_spec(id));
            }
            Ok(tree.child(gate.drain_spec("drain", None)))
        })
    }
}

fn tell(dispatcher: &ChildRef<Dispatcher>, news: News) {
    if let Some(dispatcher) = dispatcher.addr() {
        dispatcher.do_send(news);
    }
}
