//! The actor of a port: reads messages, writes what waits.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context};
use impresario_sys::SeqPacket;
use impresario_wire::PARTIAL_TIMEOUT;
use slog::{Logger, debug, error};
use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep};

use crate::reader::{Read, Reader};
use crate::shared::Stop;
use crate::{CloseReason, PortEvent, PortHandle};

/// How many messages a port reads before others on its thread have their turn.
pub const READ_BUDGET: usize = 64;

/// How many messages a port writes before others on its thread have their turn.
pub const WRITE_BUDGET: usize = 64;

/// How long a port waits when the kernel has no room for more descriptors in flight, of which there is no event.
pub const RETRY_DELAY: Duration = Duration::from_millis(5);

/// An actor that serves one [`PortHandle`]: one call of its handler for each message that comes in, one for the end.
///
/// It stops after the end; as a supervised child it is transient. If the handler panics, that is the actor's panic,
/// and the message is lost; the next one is for its successor. A handle has one actor at a time.
pub struct Port {
    handle: PortHandle,
    reader: Reader,
    /// The socket in this thread's reactor, from start to end.
    socket: Option<AsyncFd<Arc<SeqPacket>>>,
    retry: Option<Pin<Box<Sleep>>>,
    /// Given up at the end, with all it holds.
    deliver: Option<Box<dyn FnMut(PortEvent)>>,
    log: Logger,
}

impl Port {
    /// An actor for `handle` that calls `deliver` in its own turn, on its own thread. `deliver` may use the handle.
    pub fn new(handle: PortHandle, log: Logger, deliver: impl FnMut(PortEvent) + 'static) -> Self {
        let reader = Reader::new(handle.link(), PARTIAL_TIMEOUT, log.clone());
        Port { handle, reader, socket: None, retry: None, deliver: Some(Box::new(deliver)), log }
    }

    /// Reads and writes what is possible now; ready at the end of the port.
    fn turn(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        // Registered first, so that nothing a sender does from now on is missed.
        self.handle.shared().actor.register(cx.waker());
        if let Poll::Ready(reason) = self.poll_read(cx) {
            return Poll::Ready(reason);
        }
        self.reader.poll_expire(cx);
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(error.into());
        }
        match self.handle.shared().take_failure() {
            Some(error) => Poll::Ready(error.into()),
            None => Poll::Pending,
        }
    }

    fn poll_read(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        for _ in 0..READ_BUDGET {
            // Looked at before every message, because the handler may close the port.
            if !self.handle.shared().is_open() {
                return Poll::Ready(CloseReason::Local);
            }
            let Some(socket) = &self.socket else { return Poll::Ready(CloseReason::Local) };
            let mut guard = match ready!(socket.poll_read_ready(cx)) {
                Ok(guard) => guard,
                Err(error) => return Poll::Ready(error.into()),
            };
            match self.reader.read(socket.get_ref()) {
                Ok(Read::Blocked) => guard.clear_ready(),
                Ok(Read::Part) => {}
                Ok(Read::Whole(incoming)) => {
                    if let Some(deliver) = &mut self.deliver {
                        deliver(PortEvent::Message(incoming));
                    }
                }
                Err(reason) => return Poll::Ready(reason),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Pending with a wake-up in sight if something still waits, else ready.
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
            match self.handle.shared().drain(WRITE_BUDGET) {
                Stop::Empty => return Poll::Ready(Ok(())),
                Stop::Blocked => guard.clear_ready(),
                Stop::Scarce => self.retry = Some(Box::pin(sleep(RETRY_DELAY))),
                Stop::Budget => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn end(&mut self, reason: CloseReason) {
        // Out of the reactor first: a descriptor must not be closed while it is in it.
        self.socket = None;
        if reason.is_orderly() {
            self.handle.close();
        } else {
            // A copy elsewhere would keep the peer from hearing that nothing comes of this port any more.
            self.handle.abort();
        }
        if !self.handle.shared().tell_once() {
            return;
        }
        let peer = self.handle.link().peer();
        if reason.is_orderly() {
            debug!(self.log, "port closed"; "peer" => %peer, "reason" => %reason);
        } else {
            error!(self.log, "port closed"; "peer" => %peer, "reason" => %reason);
        }
        if let Some(mut deliver) = self.deliver.take() {
            deliver(PortEvent::Closed(reason));
        }
    }
}

impl Actor for Port {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(socket) = self.handle.shared().socket() else {
            self.end(CloseReason::Local);
            return ctx.stop();
        };
        match register(socket) {
            Ok(socket) => {
                self.socket = Some(socket);
                ctx.spawn(Pump);
            }
            Err(error) => {
                self.end(error.into());
                ctx.stop();
            }
        }
    }
}

/// The socket in this thread's reactor. Fails when there is no memory for it, or when it is there already.
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that change or close their descriptor while they are registered; \
              an Arc of an owned descriptor cannot"
)]
fn register(socket: Arc<SeqPacket>) -> io::Result<AsyncFd<Arc<SeqPacket>>> {
    AsyncFd::new(socket)
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// The actor's one future: a panic in it is the actor's panic.
struct Pump;

impl ActorFuture<Port> for Pump {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        port: &mut Port,
        ctx: &mut Context<Port>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        let reason = ready!(port.turn(cx));
        port.end(reason);
        ctx.stop();
        Poll::Ready(())
    }
}
