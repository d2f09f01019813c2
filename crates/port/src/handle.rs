//! The sending side of a port.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use impresario_actor::{ChildId, ChildSpec, Restart};
use impresario_sys::SeqPacket;
use impresario_wire::{Message, PortPolicy, StreamId};

use crate::shared::Shared;
use crate::{Port, PortEvent, SendError};

/// Sends over a port from any actor on any thread of the process.
///
/// The handle is the port's identity: it is made first, and a [`Port`](crate::Port) actor serves it. When that actor
/// dies and another one is started for the same handle, what waits to be written goes on waiting. The descriptor is
/// closed when the port is, or with the last handle and the actor.
#[derive(Clone, Debug)]
pub struct PortHandle(Arc<Shared>);

impl PortHandle {
    /// A port over one end of a socket pair. Make it in the process that uses it: it bears that process's id.
    pub fn new(socket: SeqPacket, link: PortPolicy) -> Self {
        PortHandle(Arc::new(Shared::new(socket, link)))
    }

    /// The actor that serves this port, as a child of a supervisor.
    ///
    /// Each of its lives calls a clone of `handler` (see [`Port::new`]) and logs by the supervisor's logger. It is
    /// transient: a life that the handler panicked away has a successor, the end of the port has none.
    pub fn child_spec<H>(&self, id: impl Into<ChildId>, handler: H) -> ChildSpec
    where
        H: FnMut(PortEvent) + Clone + Send + Sync + 'static,
    {
        let handle = self.clone();
        ChildSpec::actor(id, move |env| Ok(Port::new(handle.clone(), env.log().clone(), handler.clone())))
            .restart(Restart::Transient)
    }

    /// Who is at the two ends.
    pub fn link(&self) -> PortPolicy {
        self.0.link
    }

    /// Sends a message: now, if nothing waits before it and the socket takes it, else as soon as the port's actor can.
    ///
    /// The descriptors are borrowed: the caller keeps its own, and only a message that has to wait holds copies. All
    /// messages of all handles are heard in the order of these calls.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when as much waits as may; [`SendError::Closed`]; the others tell of mistakes in the call.
    pub fn send(&self, stream: StreamId, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        let kind = message.kind();
        self.0.link.check_outgoing(kind)?;
        let (least, most) = message.descriptors().into_inner();
        if fds.len() < least || fds.len() > most {
            return Err(SendError::Descriptors { kind, found: fds.len(), least, most });
        }
        let frames = self.0.encoder.encode(stream, message)?;
        self.0.send(frames, fds)
    }

    /// The same, but waits while the port is full. Dropping the future before it ends sends nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), but never [`SendError::Full`].
    pub async fn send_when_ready(
        &self,
        stream: StreamId,
        message: &Message,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), SendError> {
        loop {
            match self.send(stream, message, fds) {
                Err(SendError::Full) => self.ready().await?,
                result => return result,
            }
        }
    }

    /// Waits until a port that was full is below its low marks; returns at once if it was not full.
    ///
    /// Others may wait for the same, so a [`send`](Self::send) after it can still find the port full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        loop {
            // Asked for before looking, so that nothing that happens in between is missed.
            let room = self.0.room.notified();
            if !self.0.is_congested()? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Closes the port: what waits is dropped, and its actor delivers the end and stops. Does nothing the second time.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes the port as [`close`](Self::close) does, and all copies of its end that other processes hold with it: the
    /// process at the other end hears that it is over.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether sending is over. What the other end sent before it went may still be on its way in.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How many messages wait to be written.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}
