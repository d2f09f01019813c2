//! Hand-over of connections from the router: takes them from the port, starts them, answers the router.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use impresario_port::{Incoming, PortEvent, PortHandle, SendError};
use impresario_server::{Accepted, ClaimOutcome};
use impresario_wire::{Message, StreamId};
use slog::Logger;

use super::StartConnection;
use crate::actor_tree::{Command, CommandSender};
use crate::address::{from_wire, local_from_wire};

/// Handles the events of the port to the router.
#[derive(Clone)]
pub(super) struct HandOverReceiver {
    router: PortHandle,
    start: Arc<StartConnection>,
    commands: CommandSender,
    log: Logger,
}

impl HandOverReceiver {
    pub(super) fn new(
        router: PortHandle,
        start: Arc<StartConnection>,
        commands: CommandSender,
        log: Logger,
    ) -> Self {
        Self { router, start, commands, log }
    }

    pub(super) fn handle(&self, event: PortEvent) {
        match event {
            PortEvent::Message(incoming) => self.receive(incoming),
            // Without its port the worker receives no more connections, so it asks to be replaced.
            PortEvent::Closed(reason) => {
                let reason = format!("the port to the router is closed: {reason}");
                // An error means that the process is exiting already.
                let _ = self.commands.send(Command::Replace(reason));
            }
        }
    }

    fn receive(&self, incoming: Incoming) {
        let Incoming { stream, message, fds, .. } = incoming;
        let Message::Connection { peer, local, read_ahead } = message else { return };
        let Some(fd) = fds.into_iter().next() else {
            return self.answer(stream, &Message::refused("the frame has no descriptor"));
        };
        let accepted = match Accepted::from_fd(fd, from_wire(peer)) {
            Ok(accepted) => accepted,
            Err(error) => return self.answer(stream, &Message::refused(error)),
        };
        let accepted = match local_from_wire(local) {
            Some(local) => accepted.with_local_addr(local),
            None => accepted,
        };
        let release = ReleaseGuard { receiver: self.clone(), stream, taken: Arc::default() };
        let (receiver, taken) = (self.clone(), Arc::clone(&release.taken));
        let accepted = accepted.with_read_ahead(read_ahead).with_guard(release);
        let accepted = accepted.on_outcome(move |outcome| match outcome {
            ClaimOutcome::Claimed => {
                taken.store(true, Ordering::Release);
                receiver.answer(stream, &Message::Taken);
            }
            ClaimOutcome::Dropped => {
                receiver.answer(stream, &Message::refused("the worker is full or draining"));
            }
        });
        // On an error the connection is in the error, and its drop answers `Refused`.
        drop((self.start)(accepted));
    }

    /// Answers the router. When the port is full, a task waits until it is writable: the router keeps its descriptor of
    /// the connection until it has the answer, so the answer must not be lost.
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

/// Held by the connection until it is closed. Its drop sends `Released`, if `Taken` was sent.
struct ReleaseGuard {
    receiver: HandOverReceiver,
    stream: StreamId,
    taken: Arc<AtomicBool>,
}

impl Drop for ReleaseGuard {
    fn drop(&mut self) {
        if self.taken.load(Ordering::Acquire) {
            self.receiver.answer(self.stream, &Message::Released);
        }
    }
}
