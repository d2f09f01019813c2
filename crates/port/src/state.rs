//! The state that the actor and all handles of one port share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::task::AtomicWaker;
use impresario_sys::{ErrorClass, SeqPacket, classify};
use impresario_wire::{Advance, Encoder, Frame, Frames, OutgoingQueue, PortPolicy};
use tokio::sync::Notify;

use crate::error::SendError;
use crate::limits::QUEUE_LIMITS;

#[derive(Debug)]
pub(crate) struct PortState {
    pub(crate) policy: PortPolicy,
    pub(crate) encoder: Encoder,
    /// Held while the frames of one message are written, by non-blocking system calls. Not held while the handler runs or
    /// a waker is called.
    locked: Mutex<Locked>,
    /// Woken when a message was queued, and when the port was closed.
    pub(crate) actor: AtomicWaker,
    /// Notified when the queue has drained to its low marks, and when the port was closed.
    pub(crate) writable: Notify,
}

#[derive(Debug)]
struct Locked {
    /// `None` when the port is closed. The actor holds the other reference until its next poll.
    socket: Option<Arc<SeqPacket>>,
    /// Closed as soon as nothing can be sent. Receiving may go on then.
    queue: OutgoingQueue<OwnedFd>,
    /// A fatal send error, until the actor takes it as its close reason.
    failure: Option<io::Error>,
    /// Whether [`PortEvent::Closed`](crate::PortEvent::Closed) was delivered.
    close_delivered: bool,
}

/// Why [`PortState::drain`] returned.
#[derive(Debug)]
pub(crate) enum DrainStop {
    /// The socket is full. Wait until it is writable.
    Blocked,
    /// [`ErrorClass::NoBuffers`]. Wait for [`RETRY_DELAY`](crate::RETRY_DELAY).
    NoBuffers,
    /// The budget is used up.
    Budget,
    /// The queue is empty or closed.
    Empty,
}

impl PortState {
    pub(crate) fn new(socket: SeqPacket, policy: PortPolicy) -> Self {
        let locked = Locked {
            socket: Some(Arc::new(socket)),
            queue: OutgoingQueue::new(QUEUE_LIMITS),
            failure: None,
            close_delivered: false,
        };
        PortState {
            policy,
            encoder: Encoder::new(std::process::id()),
            locked: Mutex::new(locked),
            actor: AtomicWaker::new(),
            writable: Notify::new(),
        }
    }

    pub(crate) fn socket(&self) -> Option<Arc<SeqPacket>> {
        self.lock().socket.clone()
    }

    /// Whether the descriptor is open, so that messages can be received.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().socket.is_some()
    }

    /// Whether nothing can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().queue.is_closed()
    }

    /// Whether a sender that was refused must go on waiting.
    pub(crate) fn is_congested(&self) -> Result<bool, SendError> {
        let locked = self.lock();
        if locked.queue.is_closed() {
            return Err(SendError::Closed);
        }
        Ok(locked.queue.is_congested())
    }

    pub(crate) fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Writes the message if the queue is empty. Queues what is not written, with duplicates of the descriptors.
    pub(crate) fn send(&self, mut frames: Frames, fds: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        let mut guard = self.lock();
        let Locked { socket, queue, .. } = &mut *guard;
        let slot = queue.reserve()?;
        let Some(socket) = socket else { return Err(SendError::Closed) };
        if slot.is_next() {
            match write(socket, &mut frames, fds) {
                Ok(()) => return Ok(()),
                Err(error) if is_passing(classify(&error)) => {}
                Err(error) => {
                    self.close_writes(guard, error);
                    return Err(SendError::Closed);
                }
            }
        }
        // After the first frame the kernel has the descriptors.
        let unsent: &[BorrowedFd<'_>] = if frames.is_first() { fds } else { &[] };
        let fds: io::Result<Vec<OwnedFd>> = unsent.iter().map(BorrowedFd::try_clone_to_owned).collect();
        slot.push(frames, fds.map_err(SendError::Duplicate)?);
        drop(guard);
        self.actor.wake();
        Ok(())
    }

    /// Writes queued messages, at most `budget`.
    pub(crate) fn drain(&self, budget: usize) -> DrainStop {
        for _ in 0..budget {
            let mut guard = self.lock();
            let Locked { socket, queue, .. } = &mut *guard;
            let Some(socket) = socket else { return DrainStop::Empty };
            match write_front(socket, queue) {
                Ok(None) => return DrainStop::Empty,
                Ok(Some(Advance::Relieved)) => {
                    drop(guard);
                    self.writable.notify_waiters();
                }
                Ok(Some(_)) => {}
                Err(error) => match classify(&error) {
                    ErrorClass::WouldBlock => return DrainStop::Blocked,
                    ErrorClass::Interrupted => {}
                    ErrorClass::NoBuffers => return DrainStop::NoBuffers,
                    ErrorClass::Closed | ErrorClass::Fatal => {
                        self.close_writes(guard, error);
                        return DrainStop::Empty;
                    }
                },
            }
        }
        DrainStop::Budget
    }

    /// The fatal send error that closes the port. Returned once.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.lock().failure.take()
    }

    /// Shuts the socket down for all copies of this end, then closes the port.
    pub(crate) fn abort(&self) {
        if let Some(socket) = self.socket() {
            // On an error there is no connection to shut down. The descriptor is closed next in any case.
            let _ = rustix::net::shutdown(&*socket, rustix::net::Shutdown::Both);
        }
        self.close();
    }

    /// Drops the descriptor and the queue. Wakes the actor and all senders that wait.
    pub(crate) fn close(&self) {
        let mut guard = self.lock();
        let socket = guard.socket.take();
        let discarded = guard.queue.close();
        drop(guard);
        drop((socket, discarded));
        self.writable.notify_waiters();
        self.actor.wake();
    }

    /// Whether the caller must deliver [`PortEvent::Closed`](crate::PortEvent::Closed). True once.
    pub(crate) fn take_close_event(&self) -> bool {
        !std::mem::replace(&mut self.lock().close_delivered, true)
    }

    /// Closes the sending side after a send error. Receiving goes on until end of file, or until the actor takes a fatal
    /// error.
    fn close_writes(&self, mut guard: MutexGuard<'_, Locked>, error: io::Error) {
        let discarded = guard.queue.close();
        if classify(&error) == ErrorClass::Fatal {
            guard.failure = Some(error);
        }
        drop(guard);
        drop(discarded);
        self.writable.notify_waiters();
        self.actor.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        // No code between lock and unlock leaves an invariant broken when it panics.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the same frame may be sent again later.
const fn is_passing(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::WouldBlock | ErrorClass::Interrupted | ErrorClass::NoBuffers)
}

/// Writes the frames of a message until all are written or a call fails.
fn write(socket: &SeqPacket, frames: &mut Frames, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    while let Some(frame) = frames.current() {
        write_frame(socket, &frame, if frames.is_first() { fds } else { &[] })?;
        frames.advance();
    }
    Ok(())
}

/// Writes the first queued message. `None` when the queue is empty.
fn write_front(socket: &SeqPacket, queue: &mut OutgoingQueue<OwnedFd>) -> io::Result<Option<Advance>> {
    while let Some((frame, fds)) = queue.front() {
        let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        write_frame(socket, &frame, &fds)?;
        match queue.advance() {
            Advance::Frame => {}
            completed => return Ok(Some(completed)),
        }
    }
    Ok(None)
}

fn write_frame(socket: &SeqPacket, frame: &Frame<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    socket.send(&frame.parts(&frame.header()), fds)
}
