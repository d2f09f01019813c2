//! The actor of the dispatch rules: it holds pending connections and offers them over ports.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use impresario_actor::DynamicRef;
use impresario_port::{CloseReason, Incoming, PortHandle, SendError};
use impresario_server::Accepted;
use impresario_sys::SeqPacket;
use impresario_wire::{Message as Frame, PortPolicy, Role, StreamId};
use slog::Logger;

use super::dispatch::{Action, Dispatch, Event, WorkerId};
use super::inbox::{Inbox, WorkerEvent};
use crate::address::{local_to_wire, to_wire};

/// How long the dispatcher waits before it offers connections again that every worker has refused.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// An accepted connection. Bound of their number: [`MAX_PENDING`](super::process::MAX_PENDING).
pub(super) struct NewConnection(pub(super) Accepted);

/// What arrives over ports.
pub(super) enum PortMessage {
    /// A frame of main. Main sends one per start and one per exit of a worker, which its restart limits bound.
    Main(Incoming),
    /// The inbox of this worker is not empty. At most one per worker is in the queue.
    Worker(WorkerId),
}

/// A port to a worker: what a port actor needs.
#[derive(Clone, Debug)]
pub(super) struct WorkerPort {
    pub(super) id: WorkerId,
    pub(super) handle: PortHandle,
    pub(super) inbox: Arc<Inbox>,
}

pub(super) struct Dispatcher {
    rules: Dispatch,
    workers: HashMap<WorkerId, KnownWorker>,
    /// Connections that no worker has taken yet.
    pending: HashMap<StreamId, Accepted>,
    /// The incarnation of the router process. It is a part of every stream id.
    incarnation: u32,
    next_stream: u32,
    next_worker: u64,
    retry_armed: bool,
    ports: DynamicRef<WorkerPort>,
    log: Logger,
}

struct KnownWorker {
    pid: u32,
    port: PortHandle,
    inbox: Arc<Inbox>,
}

impl Dispatcher {
    pub(super) fn new(incarnation: u32, ports: DynamicRef<WorkerPort>, log: &Logger) -> Self {
        Self {
            rules: Dispatch::default(),
            workers: HashMap::new(),
            pending: HashMap::new(),
            incarnation,
            next_stream: 0,
            next_worker: 0,
            retry_armed: false,
            ports,
            log: log.clone(),
        }
    }

    /// Gives an event to the rules and carries out their actions.
    fn feed(&mut self, event: Event) {
        self.rules.handle(event);
        while let Some(action) = self.rules.poll_action() {
            match action {
                Action::Offer(worker, stream) => {
                    if !self.offer(worker, stream) {
                        self.rules.handle(Event::Down(worker));
                        self.workers.remove(&worker);
                    }
                }
                Action::Forget(stream) => drop(self.pending.remove(&stream)),
                Action::Close(stream) => {
                    if let Some(accepted) = self.pending.remove(&stream) {
                        slog::warn!(self.log, "closing a connection: every worker that was offered it has exited";
                            "peer" => %accepted.peer_addr());
                    }
                }
            }
        }
    }

    /// Sends a connection to a worker. `false`: the port of the worker is closed.
    fn offer(&self, worker: WorkerId, stream: StreamId) -> bool {
        let Some(known) = self.workers.get(&worker) else { return false };
        // The rules offer pending connections only, and `NewConnection` checks that they have a descriptor. Nothing is
        // written to them here, so they keep it.
        let pending = self.pending.get(&stream).and_then(|accepted| Some((accepted, accepted.descriptor()?)));
        let Some((accepted, descriptor)) = pending else { return true };
        let frame = Frame::Connection {
            peer: to_wire(accepted.peer_addr()),
            local: local_to_wire(accepted.local_addr()),
            read_ahead: accepted.read_ahead().to_vec(),
        };
        match known.port.send(stream, &frame, &[descriptor]) {
            Ok(()) => true,
            Err(SendError::Closed) => false,
            Err(error) => {
                slog::error!(self.log, "cannot offer a connection; closing the port of the worker";
                    "worker_pid" => known.pid, "error" => %error);
                // Aborted, so that the worker receives the end of its port and asks to be replaced.
                known.port.abort();
                false
            }
        }
    }

    fn worker_up(&mut self, pid: u32, end: OwnedFd) {
        let policy = match PortPolicy::new(Role::Router, Role::Worker) {
            Ok(policy) => policy.with_peer_pid(pid),
            Err(error) => return slog::crit!(self.log, "{error}"),
        };
        let port = PortHandle::new(SeqPacket::from(end), policy);
        let inbox = Arc::new(Inbox::new(self.incarnation));
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        if self.ports.start(WorkerPort { id, handle: port.clone(), inbox: Arc::clone(&inbox) }).is_ok() {
            self.workers.insert(id, KnownWorker { pid, port, inbox });
            slog::debug!(self.log, "worker is up"; "worker_pid" => pid);
            self.feed(Event::Up(id));
        }
    }

    /// Main reports the exit of a worker. The port reports it too, but only when no process has a copy of its other end.
    fn worker_down(&mut self, pid: u32) {
        let exited = self.workers.iter().find(|(_, known)| known.pid == pid).map(|(id, _)| *id);
        if let Some(id) = exited {
            self.remove_worker(id);
        }
    }

    fn remove_worker(&mut self, id: WorkerId) {
        if let Some(known) = self.workers.remove(&id) {
            slog::debug!(self.log, "worker is down"; "worker_pid" => known.pid);
            known.port.close();
        }
        self.feed(Event::Down(id));
    }

    /// Handles everything in the inbox of a worker.
    fn on_worker_message(&mut self, id: WorkerId) {
        let Some(known) = self.workers.get(&id) else { return };
        let pid = known.pid;
        for event in known.inbox.take() {
            match event {
                WorkerEvent::Taken(stream) => self.feed(Event::Taken(id, stream)),
                WorkerEvent::Refused(stream, reason) => {
                    slog::debug!(self.log, "a worker has refused a connection";
                        "worker_pid" => pid, "reason" => reason);
                    self.feed(Event::Refused(id, stream));
                }
                WorkerEvent::Released(count) => self.feed(Event::Released(id, count)),
                WorkerEvent::Closed(reason) => {
                    if !matches!(reason, CloseReason::Eof | CloseReason::Local) {
                        slog::error!(self.log, "the port of a worker is closed";
                            "worker_pid" => pid, "reason" => %reason);
                    }
                    self.remove_worker(id);
                }
            }
        }
    }

    /// A stream id that no pending connection has.
    fn new_stream(&mut self) -> StreamId {
        loop {
            self.next_stream = self.next_stream.wrapping_add(1);
            let stream = StreamId::new(self.incarnation, self.next_stream);
            if !self.pending.contains_key(&stream) {
                return stream;
            }
        }
    }

    /// Arms the retry timer if connections wait for workers that have refused, unless it is armed.
    fn arm_retry(&mut self, ctx: &mut Context<Self>) {
        if self.rules.wants_retry() && !std::mem::replace(&mut self.retry_armed, true) {
            ctx.run_later(RETRY_DELAY, |dispatcher, ctx| {
                dispatcher.retry_armed = false;
                dispatcher.feed(Event::Retry);
                dispatcher.arm_retry(ctx);
            });
        }
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;
}

impl Message for NewConnection {
    type Result = ();
}

impl Handler<NewConnection> for Dispatcher {
    type Result = ();

    fn handle(&mut self, NewConnection(accepted): NewConnection, ctx: &mut Context<Self>) {
        if accepted.descriptor().is_none() {
            slog::error!(self.log, "closing a connection: only a plain socket can be handed to a worker";
                "peer" => %accepted.peer_addr());
            return;
        }
        let stream = self.new_stream();
        // `on_outcome` acknowledges the connection to the acceptor. Its permit still counts against `MAX_PENDING`.
        self.pending.insert(stream, accepted.on_outcome(drop));
        self.feed(Event::Arrived(stream));
        self.arm_retry(ctx);
    }
}

impl Message for PortMessage {
    type Result = ();
}

impl Handler<PortMessage> for Dispatcher {
    type Result = ();

    fn handle(&mut self, message: PortMessage, ctx: &mut Context<Self>) {
        match message {
            PortMessage::Main(Incoming { message: Frame::NewPort { process, .. }, mut fds, .. }) => {
                // The first descriptor is the router's end. The second one, the pidfd of the worker, is not needed here.
                if fds.len() > 1 {
                    self.worker_up(process, fds.swap_remove(0));
                }
            }
            PortMessage::Main(Incoming { message: Frame::RemovePort { process }, .. }) => {
                self.worker_down(process);
            }
            PortMessage::Main(_) => {}
            PortMessage::Worker(id) => self.on_worker_message(id),
        }
        self.arm_retry(ctx);
    }
}
