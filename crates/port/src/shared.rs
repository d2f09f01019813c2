//! What the actor and all handles of one port have in common.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use impresario_sys::SeqPacket;
use impresario_wire::{Encoder, Frames, PortPolicy};
use rustix::io::Errno;
use tokio::sync::Notify;

use crate::SendError;
use crate::queue::{Outgoing, Queue};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) link: PortPolicy,
    pub(crate) encoder: Encoder,
    /// Held for one system call at a time, and never while the handler runs.
    state: Mutex<State>,
    /// The actor: something waits to be written, or the port was closed.
    pub(crate) actor: AtomicWaker,
    /// The senders that wait for the low mark, or for the end.
    pub(crate) room: Notify,
}

#[derive(Debug)]
struct State {
    /// None when the port is closed: nobody else keeps the descriptor then but the actor, until its next turn.
    socket: Option<Arc<SeqPacket>>,
    queue: Queue,
    /// The other end takes nothing any more; what it has sent before is still to be read.
    deaf: bool,
    /// The socket failed under a sender; the actor says so.
    failure: Option<io::Error>,
    /// The handler was told of the end.
    told: bool,
}

/// Why writing stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Until the socket is writable.
    Blocked,
    /// Until somebody, somewhere, has released descriptors or memory; there is no event for that.
    Scarce,
    /// For this turn; others want theirs.
    Budget,
    /// There is nothing more to write.
    Empty,
}

impl Shared {
    pub(crate) fn new(socket: SeqPacket, link: PortPolicy) -> Self {
        let state = State {
            socket: Some(Arc::new(socket)),
            queue: Queue::default(),
            deaf: false,
            failure: None,
            told: false,
        };
        Shared {
            link,
            encoder: Encoder::new(std::process::id()),
            state: Mutex::new(state),
            actor: AtomicWaker::new(),
            room: Notify::new(),
        }
    }

    pub(crate) fn socket(&self) -> Option<Arc<SeqPacket>> {
        self.lock().socket.clone()
    }

    /// Whether there is still a descriptor to read from.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().socket.is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().writable().is_none()
    }

    /// Whether a sender that was turned away has to go on waiting.
    pub(crate) fn is_congested(&self) -> Result<bool, SendError> {
        let state = self.lock();
        state.writable().ok_or(SendError::Closed)?;
        Ok(state.queue.is_congested())
    }

    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Writes the message at once if nothing waits before it, else lets it wait with copies of its descriptors.
    pub(crate) fn send(&self, mut frames: Frames, fds: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        let mut state = self.lock();
        let socket = state.writable().ok_or(SendError::Closed)?;
        if !state.queue.has_room() {
            return Err(SendError::Full);
        }
        if state.queue.is_empty() {
            match write(&socket, &mut frames, fds) {
                Ok(()) => return Ok(()),
                Err(Trouble::Blocked | Trouble::Scarce) => {}
                Err(trouble) => {
                    self.give_up(state, trouble);
                    return Err(SendError::Closed);
                }
            }
        }
        // Descriptors go with the first frame; if that is written, they have gone.
        let kept: &[BorrowedFd<'_>] = if frames.is_first() { fds } else { &[] };
        let fds: io::Result<Vec<OwnedFd>> = kept.iter().map(BorrowedFd::try_clone_to_owned).collect();
        state.queue.push(Outgoing { frames, fds: fds.map_err(SendError::Duplicate)? });
        drop(state);
        self.actor.wake();
        Ok(())
    }

    /// Writes what waits, at most `budget` messages.
    pub(crate) fn drain(&self, budget: usize) -> Stop {
        for _ in 0..budget {
            let mut state = self.lock();
            let Some(socket) = state.writable() else { return Stop::Empty };
            let Some(Outgoing { frames, fds }) = state.queue.front() else { return Stop::Empty };
            let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match write(&socket, frames, &fds) {
                Ok(()) if state.queue.pop() => self.room.notify_waiters(),
                Ok(()) => {}
                Err(Trouble::Blocked) => return Stop::Blocked,
                Err(Trouble::Scarce) => return Stop::Scarce,
                Err(trouble) => {
                    self.give_up(state, trouble);
                    return Stop::Empty;
                }
            }
        }
        Stop::Budget
    }

    /// The error that ended the port under a sender, once.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    /// Ends the port for all copies of this end, in whatever process, so that the other end hears of it.
    pub(crate) fn abort(&self) {
        if let Some(socket) = self.socket() {
            // It fails when the other end is gone, which is as good.
            let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
        }
        self.close();
    }

    /// Closes the port: the descriptor, what waits, and the descriptors that wait with it. Wakes whoever waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.socket = None;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop(queue);
        self.room.notify_waiters();
        self.actor.wake();
    }

    /// Whether the handler is still to be told of the end; true once.
    pub(crate) fn tell_once(&self) -> bool {
        !std::mem::replace(&mut self.lock().told, true)
    }

    fn give_up(&self, mut state: MutexGuard<'_, State>, trouble: Trouble) {
        state.deaf = true;
        if let Trouble::Failed(error) = trouble {
            state.failure = Some(error);
        }
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop(queue);
        self.room.notify_waiters();
        self.actor.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn writable(&self) -> Option<Arc<SeqPacket>> {
        self.socket.clone().filter(|_| !self.deaf)
    }
}

/// Why a frame was not written.
#[derive(Debug)]
enum Trouble {
    Blocked,
    Scarce,
    Gone,
    Failed(io::Error),
}

/// Writes frames until all are written or one is not; descriptors go with the first.
fn write(socket: &SeqPacket, frames: &mut Frames, fds: &[BorrowedFd<'_>]) -> Result<(), Trouble> {
    while let Some(frame) = frames.current() {
        let header = frame.header();
        let fds = if frames.is_first() { fds } else { &[] };
        socket.send(&frame.parts(&header), fds).map_err(judge)?;
        frames.advance();
    }
    Ok(())
}

fn judge(error: io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::WouldBlock => return Trouble::Blocked,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Trouble::Gone,
        _ => {}
    }
    match Errno::from_io_error(&error) {
        // Too many descriptors in flight, or no memory for the kernel's buffers: both pass.
        Some(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => Trouble::Scarce,
        _ => Trouble::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{Trouble, judge};

    #[test]
    fn what_passes_is_waited_for() {
        let trouble_of = |errno| judge(io::Error::from(errno));
        assert!(matches!(trouble_of(Errno::AGAIN), Trouble::Blocked));
        for errno in [Errno::TOOMANYREFS, Errno::NOBUFS, Errno::NOMEM] {
            assert!(matches!(trouble_of(errno), Trouble::Scarce), "{errno}");
        }
        for errno in [Errno::PIPE, Errno::CONNRESET] {
            assert!(matches!(trouble_of(errno), Trouble::Gone), "{errno}");
        }
        for errno in [Errno::MSGSIZE, Errno::BADF, Errno::PERM] {
            assert!(matches!(trouble_of(errno), Trouble::Failed(_)), "{errno}");
        }
    }
}
