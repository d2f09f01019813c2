//! The actor of a port: receives messages, and writes queued ones.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use impresario_actor::{ChildId, ChildSpec, Restart};
use impresario_sys::SeqPacket;
use impresario_wire::PARTIAL_TIMEOUT;
use slog::{Logger, debug, error};
use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep};

use crate::event::{CloseReason, PortEvent};
use crate::handle::PortHandle;
use crate::limits::{READ_BUDGET, RETRY_DELAY, WRITE_BUDGET};
use crate::reader::{Read, Reader};
use crate::state::DrainStop;

/// Actor that serves one [`PortHandle`]. It calls its handler once per received message, and once when the port is closed.
///
/// It stops when the port is closed. If the handler panics, the actor panics and that message is lost; the next actor of the
/// handle receives the following messages.
///
/// A handle has at most one actor at a time: a second one fails to register the socket, and closes the port.
pub struct Port {
    handle: PortHandle,
    reader: Reader,
    /// The socket, registered with this thread's reactor. `None` before the start and after the end.
    socket: Option<AsyncFd<Arc<SeqPacket>>>,
    /// Set while writing waits for [`RETRY_DELAY`].
    retry: Option<Pin<Box<Sleep>>>,
    /// Dropped after [`PortEvent::Closed`], with all that it captures.
    handler: Option<Box<dyn FnMut(PortEvent)>>,
    log: Logger,
}

impl Port {
    /// An actor for `handle`. It calls `handler` on its own thread, without a lock held, so `handler` may use the handle.
    pub fn new(handle: PortHandle, log: Logger, handler: impl FnMut(PortEvent) + 'static) -> Self {
        let reader = Reader::new(handle.policy(), PARTIAL_TIMEOUT, log.clone());
        Port { handle, reader, socket: None, retry: None, handler: Some(Box::new(handler)), log }
    }

    /// Reads and writes what the socket allows now. Ready when the port must be closed.
    fn poll_io(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        // Registered first: a wake-up between the checks below and the registration would be lost otherwise.
        self.handle.state().actor.register(cx.waker());
        if let Poll::Ready(reason) = self.poll_read(cx) {
            return Poll::Ready(reason);
        }
        self.reader.poll_expire(cx);
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(error.into());
        }
        match self.handle.state().take_failure() {
            Some(error) => Poll::Ready(error.into()),
            None => Poll::Pending,
        }
    }

    fn poll_read(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        for _ in 0..READ_BUDGET {
            // Checked before each message, because the handler may close the port.
            if !self.handle.state().is_open() {
                return Poll::Ready(CloseReason::Local);
            }
            let Some(socket) = &self.socket else { return Poll::Ready(CloseReason::Local) };
            let mut guard = match ready!(socket.poll_read_ready(cx)) {
                Ok(guard) => guard,
                Err(error) => return Poll::Ready(error.into()),
            };
            match self.reader.read(socket.get_ref()) {
                Ok(Read::Blocked) => guard.clear_ready(),
                Ok(Read::Fragment) => {}
                Ok(Read::Message(incoming)) => {
                    if let Some(handler) = &mut self.handler {
                        handler(PortEvent::Message(incoming));
                    }
                }
                Err(reason) => return Poll::Ready(reason),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes queued messages. Ready when the queue is empty; pending with a registered wake-up otherwise.
    fn poll_write(&mut self, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Some(retry) = &mut self.retry {
                ready!(retry.as_mut().poll(cx));
                self.retry = None;
            }
            let Some(socket) = &self.socket else { return Poll::Ready(Ok(())) };
            if self.handle.queued() == 0 {
                return Poll::Ready(Ok(()));
            }
            let mut guard = ready!(socket.poll_write_ready(cx))?;
            match self.handle.state().drain(WRITE_BUDGET) {
                DrainStop::Empty => return Poll::Ready(Ok(())),
                DrainStop::Blocked => guard.clear_ready(),
                DrainStop::NoBuffers => self.retry = Some(Box::pin(sleep(RETRY_DELAY))),
                DrainStop::Budget => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Closes the port, logs the reason, and delivers the event if no earlier actor has.
    fn close(&mut self, reason: CloseReason) {
        // Deregistered first: a descriptor must not be closed while the reactor polls it.
        self.socket = None;
        if reason.is_orderly() {
            self.handle.close();
        } else {
            // Copies of this end in other processes would keep the peer from seeing end of file.
            self.handle.abort();
        }
        if !self.handle.state().take_close_event() {
            return;
        }
        let peer = self.handle.policy().peer();
        if reason.is_orderly() {
            debug!(self.log, "port closed"; "peer" => %peer, "reason" => %reason);
        } else {
            error!(self.log, "port closed"; "peer" => %peer, "reason" => %reason);
        }
        if let Some(mut handler) = self.handler.take() {
            handler(PortEvent::Closed(reason));
        }
    }
}

impl Actor for Port {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(socket) = self.handle.state().socket() else {
            self.close(CloseReason::Local);
            return ctx.stop();
        };
        match register(socket) {
            Ok(socket) => {
                self.socket = Some(socket);
                ctx.spawn(IoLoop);
            }
            Err(error) => {
                self.close(error.into());
                ctx.stop();
            }
        }
    }
}

/// Registers the socket with this thread's reactor. Fails when the kernel has no memory, or when it is registered already.
#[expect(
    deprecated,
    reason = "the replacement is unsafe, for types that change or close their descriptor while they are registered; \
              an Arc of an owned descriptor cannot"
)]
fn register(socket: Arc<SeqPacket>) -> io::Result<AsyncFd<Arc<SeqPacket>>> {
    AsyncFd::new(socket)
}

impl PortHandle {
    /// The actor that serves this port, as a child of a supervisor.
    ///
    /// Each incarnation calls its own clone of `handler` (see [`Port::new`]) and logs to the supervisor's logger. The restart
    /// type is transient: a panic of the handler restarts the actor, a closed port does not.
    pub fn child_spec<H>(&self, id: impl Into<ChildId>, handler: H) -> ChildSpec
    where
        H: FnMut(PortEvent) + Clone + Send + Sync + 'static,
    {
        let handle = self.clone();
        ChildSpec::actor(id, move |context| {
            Ok(Port::new(handle.clone(), context.log().clone(), handler.clone()))
        })
        .restart(Restart::Transient)
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The actor's only future. It runs within the actor's task, so a panic of the handler is a panic of the actor.
struct IoLoop;

impl ActorFuture<Port> for IoLoop {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        port: &mut Port,
        ctx: &mut Context<Port>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let reason = ready!(port.poll_io(cx));
        port.close(reason);
        ctx.stop();
        Poll::Ready(())
    }
}
