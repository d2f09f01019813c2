//! The actor that plays the dispatch rules: holds connections, offers them over ports.

use std::collections::HashMap;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message};
use impresario_actor::DynamicRef;
use impresario_port::{CloseReason, Incoming, PortEvent, PortHandle, SendError};
use impresario_server::Accepted;
use impresario_sys::SeqPacket;
use impresario_wire::{Message as Frame, PortPolicy, Role, StreamId};
use slog::Logger;

use super::dispatch::{Action, Dispatch, Event, WorkerId};
use crate::address::to_wire;

/// A connection that was accepted.
pub(crate) struct Arrived(pub(crate) Accepted);

/// What comes in over ports.
pub(crate) enum News {
    /// From main.
    Main(Incoming),
    /// From a worker.
    Worker(WorkerId, PortEvent),
}

/// A port to a worker, to be served by an actor.
pub(crate) struct WorkerPort {
    pub(crate) id: WorkerId,
    pub(crate) handle: PortHandle,
}

pub(crate) struct Dispatcher {
    rules: Dispatch,
    workers: HashMap<WorkerId, Peer>,
    held: HashMap<StreamId, Accepted>,
    /// Which life of the router this is: answers to an earlier one are not for us.
    generation: u32,
    next_stream: u32,
    next_worker: u64,
    /// A retry is due.
    retries: bool,
    ports: DynamicRef<WorkerPort>,
    log: Logger,
}

struct Peer {
    process: u32,
    port: PortHandle,
}

impl Dispatcher {
    pub(crate) fn new(generation: u32, ports: DynamicRef<WorkerPort>, log: &Logger) -> Self {
        Self {
            rules: Dispatch::default(),
            workers: HashMap::new(),
            held: HashMap::new(),
            generation,
            next_stream: 0,
            next_worker: 0,
            retries: false,
            ports,
            log: log.clone(),
        }
    }

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
                Action::Forget(stream) => drop(self.held.remove(&stream)),
                Action::Close(stream) => {
                    if let Some(accepted) = self.held.remove(&stream) {
                        slog::warn!(self.log, "no worker takes the connection; closing it";
                            "peer" => %accepted.peer_addr());
                    }
                }
            }
        }
    }

    /// Whether the worker can be reached.
    fn offer(&self, worker: WorkerId, stream: StreamId) -> bool {
        let Some(peer) = self.workers.get(&worker) else { return false };
        // The rules offer only what is held, and it is held only if it has a descriptor: that is looked at when it
        // arrives, and nothing is written to it here. So nothing is lost here, and nobody waits for an answer.
        let held = self.held.get(&stream).and_then(|accepted| Some((accepted, accepted.descriptor()?)));
        let Some((accepted, descriptor)) = held else { return true };
        let from = accepted.peer_addr();
        let frame = Frame::Connection {
            peer: to_wire(from),
            local: to_wire(&accepted.local_addr().unwrap_or_else(|_| from.clone())),
            read_ahead: accepted.read_ahead().to_vec(),
        };
        match peer.port.send(stream, &frame, &[descriptor]) {
            Ok(()) => true,
            Err(SendError::Closed) => false,
            Err(error) => {
                slog::error!(self.log, "cannot offer a connection"; "worker_pid" => peer.process, "error" => %error);
                // The worker must know that it gets no more from here, or it would wait for ever.
                peer.port.abort();
                false
            }
        }
    }

    fn worker_up(&mut self, process: u32, end: std::os::fd::OwnedFd) {
        let link = match PortPolicy::new(Role::Router, Role::Worker) {
            Ok(link) => link.with_peer_pid(process),
            Err(error) => return slog::crit!(self.log, "{error}"),
        };
        let port = PortHandle::new(SeqPacket::from(end), link);
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        if self.ports.start(WorkerPort { id, handle: port.clone() }).is_ok() {
            self.workers.insert(id, Peer { process, port });
            slog::debug!(self.log, "worker is up"; "worker_pid" => process);
            self.feed(Event::Up(id));
        }
    }

    /// Main says that the worker is gone. Its port says so too, but only when it has no copy anywhere.
    fn worker_down(&mut self, process: u32) {
        let gone = self.workers.iter().find(|(_, peer)| peer.process == process).map(|(id, _)| *id);
        if let Some(id) = gone {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: WorkerId) {
        if let Some(peer) = self.workers.remove(&id) {
            slog::debug!(self.log, "worker is gone"; "worker_pid" => peer.process);
            peer.port.close();
        }
        self.feed(Event::Down(id));
    }

    fn answered(&mut self, id: WorkerId, incoming: Incoming) {
        let Incoming { stream, message, .. } = incoming;
        if stream.incarnation() != self.generation {
            return;
        }
        match message {
            Frame::Taken => self.feed(Event::Taken(id, stream)),
            Frame::Refused { reason } => {
                slog::debug!(self.log, "a worker refused a connection"; "reason" => reason);
                self.feed(Event::Refused(id, stream));
            }
            Frame::Released => self.feed(Event::Released(id)),
            // The port lets nothing else through.
            _ => {}
        }
    }

    /// A stream that no held connection has.
    fn new_stream(&mut self) -> StreamId {
        loop {
            self.next_stream = self.next_stream.wrapping_add(1);
            let stream = StreamId::new(self.generation, self.next_stream);
            if !self.held.contains_key(&stream) {
                return stream;
            }
        }
    }
}

/// How long connections that every worker refused wait for the next try.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// Sees to it that those who wait for a worker that refused are offered again some time.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        if self.rules.wants_retry() && !std::mem::replace(&mut self.retries, true) {
            ctx.run_later(RETRY_DELAY, |dispatcher, ctx| {
                dispatcher.retries = false;
                dispatcher.feed(Event::Retry);
                dispatcher.arm(ctx);
            });
        }
    }
}

impl Actor for Dispatcher {
    type Context = Context<Self>;
}

impl Message for Arrived {
    type Result = ();
}

impl Handler<Arrived> for Dispatcher {
    type Result = ();

    fn handle(&mut self, Arrived(accepted): Arrived, ctx: &mut Context<Self>) {
        if accepted.descriptor().is_none() {
            slog::error!(self.log, "only a plain socket can go to a worker; closing the connection";
                "peer" => %accepted.peer_addr());
            return;
        }
        let stream = self.new_stream();
        // The acceptor may go on: the connection is ours, and the gate says how many of them we hold.
        self.held.insert(stream, accepted.on_outcome(drop));
        self.feed(Event::Arrived(stream));
        self.arm(ctx);
    }
}

impl Message for News {
    type Result = ();
}

impl Handler<News> for Dispatcher {
    type Result = ();

    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        match news {
            News::Main(Incoming { message: Frame::NewPort { process, .. }, mut fds, .. }) => {
                // The router's end comes first, then the worker's pidfd, which is main's business.
                if fds.len() > 1 {
                    self.worker_up(process, fds.swap_remove(0));
                }
            }
            News::Main(Incoming { message: Frame::RemovePort { process }, .. }) => self.worker_down(process),
            News::Main(_) => {}
            News::Worker(id, PortEvent::Message(incoming)) => self.answered(id, incoming),
            News::Worker(id, PortEvent::Closed(reason)) => {
                if !matches!(reason, CloseReason::Eof | CloseReason::Local) {
                    slog::error!(self.log, "lost a worker's port"; "reason" => %reason);
                }
                self.forget(id);
            }
        }
        self.arm(ctx);
    }
}
