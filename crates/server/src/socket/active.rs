//! Active mode: bytes are pushed to the owner of a connection.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use actix::{Actor, ActorFuture, AsyncContext, Context as ActorContext, Handler, Message};
use bytes::Bytes;

use super::RecvEvent;
use super::accepted::Accepted;
use super::active_mode::Active;
use super::{SendError, Socket};
use crate::address::Address;

/// Maximum number of pieces that are pushed in a row before other actors run.
const PUSH_BUDGET: usize = 16;

/// An event for the owner of an [`ActiveSocket`]. Its handler is called directly, not through its mailbox.
#[derive(Debug)]
#[non_exhaustive]
pub enum ActiveEvent {
    /// Bytes (OTP: `{tcp, Socket, Data}`).
    Data(Bytes),
    /// The count is used up (OTP: `{tcp_passive, Socket}`).
    Passive,
    /// The peer sends no more (OTP: `{tcp_closed, Socket}`). The last event.
    Closed,
    /// The connection is broken, or the peer was silent for longer than the read timeout (OTP: `{tcp_error,
    /// ..}`). The last event.
    Failed(io::Error),
}

impl Message for ActiveEvent {
    type Result = ();
}

/// A connection in active mode. It belongs to one actor; dropped, it is closed.
///
/// Made by [`Socket::activate`]; [`deactivate`](Self::deactivate) turns it back into a [`Socket`]. Bytes are
/// read only when they are given to the owner, so a connection can be [transferred](Self::release) at any
/// moment, and no bytes remain in the old owner's mailbox.
#[must_use = "a connection that is dropped is closed"]
pub struct ActiveSocket(Rc<RefCell<State>>);

struct State {
    socket: Socket,
    mode: Active,
    /// Set after the last event.
    ended: bool,
    /// Wakes the push loop; set while it waits.
    push_loop: Option<Waker>,
}

impl Socket {
    /// Pushes all events to the actor of this context, which owns the connection from now on.
    ///
    /// ```
    /// use actix::{Actor, ActorContext, Context, Handler};
    /// use impresario_server::{Accepted, Active, ActiveSocket, ActiveEvent};
    ///
    /// struct Owner(Option<ActiveSocket>);
    ///
    /// impl Actor for Owner {
    ///     type Context = Context<Self>;
    /// }
    ///
    /// impl Handler<Accepted> for Owner {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, accepted: Accepted, ctx: &mut Context<Self>) {
    ///         self.0 = accepted.claim().ok().map(|socket| socket.activate(Active::Once, ctx));
    ///     }
    /// }
    ///
    /// impl Handler<ActiveEvent> for Owner {
    ///     type Result = ();
    ///
    ///     fn handle(&mut self, pushed: ActiveEvent, ctx: &mut Context<Self>) {
    ///         let Some(socket) = &self.0 else { return };
    ///         match pushed {
    ///             ActiveEvent::Data(data) if socket.try_send(&data).is_ok() => socket.set_active(Active::Once),
    ///             _ => ctx.stop(),
    ///         }
    ///     }
    /// }
    /// ```
    #[doc(alias = "setopts")]
    pub fn activate<A>(self, active: Active, ctx: &mut ActorContext<A>) -> ActiveSocket
    where
        A: Actor<Context = ActorContext<A>> + Handler<ActiveEvent>,
    {
        let state = State { socket: self, mode: Active::Passive, ended: false, push_loop: None };
        let socket = ActiveSocket(Rc::new(RefCell::new(state)));
        socket.set_active(active);
        ctx.spawn(PushLoop(Rc::downgrade(&socket.0)));
        socket
    }
}

impl ActiveSocket {
    /// Changes the mode. A count is added to the rest of an earlier one.
    pub fn set_active(&self, active: Active) {
        let mut state = self.0.borrow_mut();
        state.mode = match (state.mode, active) {
            (Active::Count(left), Active::Count(more)) => Active::Count(left.saturating_add(more)),
            (_, active) => active,
        };
        wake_push_loop(state);
    }

    /// The mode, with the rest of a count.
    pub fn active(&self) -> Active {
        self.0.borrow().mode
    }

    /// Sends without waiting; see [`Socket::try_send`].
    ///
    /// # Errors
    ///
    /// As [`Socket::try_send`].
    pub fn try_send(&self, data: impl AsRef<[u8]>) -> Result<(), SendError> {
        let mut state = self.0.borrow_mut();
        let sent = state.socket.try_send(data);
        wake_push_loop(state);
        sent
    }

    /// The address of the peer.
    pub fn peer_addr(&self) -> Address {
        self.0.borrow().socket.peer_addr().clone()
    }

    /// Ends active mode. No further event is pushed.
    pub fn deactivate(self) -> Socket {
        let state = &mut *self.0.borrow_mut();
        // For a new owner that asks for the mode.
        state.socket.set_active(state.mode);
        state.socket.take()
    }

    /// Gives up the connection, so that it can move to another owner, which finds the mode in
    /// [`Accepted::active`].
    ///
    /// # Errors
    ///
    /// As [`Socket::release`].
    pub fn release(self) -> io::Result<Accepted> {
        self.deactivate().release()
    }
}

impl fmt::Debug for ActiveSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSocket").field("active", &self.active()).finish_non_exhaustive()
    }
}

/// Wakes the push loop after the borrow has ended: a waker may poll the loop, which borrows the state.
fn wake_push_loop(mut state: RefMut<'_, State>) {
    let push_loop = state.push_loop.take();
    drop(state);
    if let Some(push_loop) = push_loop {
        push_loop.wake();
    }
}

impl State {
    /// The next event; `Pending` also while none is to be pushed.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<ActiveEvent> {
        if self.ended {
            return Poll::Pending;
        }
        match self.mode {
            Active::Passive => self.poll_unsent(cx),
            Active::Count(0) => {
                self.mode = Active::Passive;
                Poll::Ready(ActiveEvent::Passive)
            }
            Active::Once | Active::Count(_) | Active::Always => self.poll_recv_event(cx),
        }
    }

    fn poll_recv_event(&mut self, cx: &mut Context<'_>) -> Poll<ActiveEvent> {
        self.socket.poll_recv_event(cx).map(|received| match received {
            Ok(RecvEvent::Data(data)) => {
                self.mode = match self.mode {
                    Active::Passive | Active::Once => Active::Passive,
                    Active::Count(left) => Active::Count(left.saturating_sub(1)),
                    Active::Always => Active::Always,
                };
                ActiveEvent::Data(data)
            }
            Ok(RecvEvent::End) => {
                self.ended = true;
                ActiveEvent::Closed
            }
            Ok(RecvEvent::TimedOut) => self.fail(self.socket.read_timeout_error()),
            Err(error) => self.fail(error),
        })
    }

    /// Buffered output is written also while nothing is read.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<ActiveEvent> {
        if !self.socket.inner_mut().unflushed {
            return Poll::Pending;
        }
        match self.socket.inner_mut().poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(self.fail(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn fail(&mut self, error: io::Error) -> ActiveEvent {
        self.ended = true;
        ActiveEvent::Failed(error)
    }
}

/// Passes events to the actor, in the actor's own task. Ends with the socket.
struct PushLoop(Weak<RefCell<State>>);

impl<A> ActorFuture<A> for PushLoop
where
    A: Actor<Context = ActorContext<A>> + Handler<ActiveEvent>,
{
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut ActorContext<A>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        for _ in 0..PUSH_BUDGET {
            // Released before the call: the actor may drop the socket or query it.
            let Some(state) = self.0.upgrade() else { return Poll::Ready(()) };
            let polled = state.borrow_mut().poll_push(cx);
            let Poll::Ready(pushed) = polled else {
                let replaced = state.borrow_mut().push_loop.replace(cx.waker().clone());
                drop(replaced);
                return Poll::Pending;
            };
            drop(state);
            let _ = actor.handle(pushed, ctx);
            if ctx.waiting() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    thread_local! {
        static SOCKET: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
    }

    /// Counts the wake-ups during which the state can be borrowed, as a poll of the push loop does.
    #[derive(Default)]
    struct Borrowing(AtomicUsize);

    impl Wake for Borrowing {
        fn wake(self: Arc<Self>) {
            let can_borrow = |state: &Rc<RefCell<State>>| state.try_borrow_mut().is_ok();
            let is_free = SOCKET.with_borrow(|state| state.as_ref().is_some_and(can_borrow));
            self.0.fetch_add(usize::from(is_free), Ordering::Relaxed);
        }
    }

    #[test]
    fn the_push_loop_is_woken_while_the_state_is_free() {
        let (_peer, stream) = tokio::io::duplex(8);
        let socket = Accepted::from_stream(stream, Address::unnamed()).claim().expect("in memory");
        let state = State { socket, mode: Active::Passive, ended: false, push_loop: None };
        let active = ActiveSocket(Rc::new(RefCell::new(state)));
        SOCKET.set(Some(Rc::clone(&active.0)));
        let wakes = Arc::new(Borrowing::default());

        active.0.borrow_mut().push_loop = Some(Waker::from(Arc::clone(&wakes)));
        active.set_active(Active::Once);
        active.0.borrow_mut().push_loop = Some(Waker::from(Arc::clone(&wakes)));
        active.try_send("hello").expect("8 bytes fit");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
        SOCKET.set(None);
    }
}
