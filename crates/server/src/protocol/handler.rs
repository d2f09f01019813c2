//! What a server does with the bytes of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use super::mailbox::BoxedMessage;
use super::mailbox::Mailbox;
use super::next::Next;
use crate::socket::RecvEvent;
use crate::socket::Socket;
use crate::tracker::draining::Draining;

/// What a server does with the bytes of one connection. There is one value of it for each, owned by its actor.
///
/// Write the callbacks as `async fn`. While one of them runs nothing more is read, so a peer that sends faster than it
/// is served waits in its own kernel. [`data`](Self::data) is the only one that must be there.
///
/// ```
/// # use std::io;
/// # use impresario_server::{Bytes, Handler, Next, Socket};
/// struct Echo;
///
/// impl Handler for Echo {
///     async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
///         socket.send(data).await?;
///         Ok(Next::Continue)
///     }
/// }
/// ```
///
/// An error closes the connection. So does a panic, which is reported as the actor's, and runs no further callback.
/// A callback may [give the connection away](Socket::release): that is its end here, whatever is said to come next.
pub trait Handler: 'static {
    /// The first callback, before the connection is looked at. [Open](Mailbox::open) the mailbox if other actors are to
    /// [send messages](crate::Receive) to this connection.
    fn init(&mut self, mailbox: &mut Mailbox<Self>)
    where
        Self: Sized,
    {
        let _ = mailbox;
    }

    /// The connection is there. Nothing was read from it yet.
    fn connected(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<Next>> {
        let _ = socket;
        async { Ok(Next::Continue) }
    }

    /// Bytes came: as many as there were, at least one. How they are cut says nothing about how they were sent.
    fn data(&mut self, data: Bytes, socket: &mut Socket) -> impl Future<Output = io::Result<Next>>;

    /// The peer was silent for as long as the [read time-out](Socket::set_read_timeout), and the connection closes if
    /// nothing else is said (OTP: the time-out of `gen_server`). Without a time-out this is never called.
    fn idle(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<Next>> {
        let _ = socket;
        async { Ok(Next::Close) }
    }

    /// The server is going down; called between reads. Say good-bye; the connection closes afterwards.
    fn shutdown(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<()>> {
        let _ = socket;
        async { Ok(()) }
    }

    /// The connection is over. The last callback, unless the actor panicked or was killed.
    fn closed(&mut self, why: &DisconnectReason) -> impl Future<Output = ()> {
        let _ = why;
        async {}
    }
}

/// Why a connection is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer will not send any more.
    ByPeer,
    /// The handler said [`Next::Close`].
    ByHandler,
    /// The server is going down.
    ByShutdown,
    /// The peer was silent for too long.
    ByTimeout,
    /// The handler gave it to another owner, with whom it goes on.
    Transferred,
    /// Reading, writing or a callback failed.
    Failed(io::Error),
}

/// What there is to do between two callbacks.
enum HandlerEvent<H> {
    Data(Bytes),
    Message(BoxedMessage<H>),
    Idle,
    End,
    Drain,
}

/// Serves one connection.
pub(crate) async fn run<H: Handler>(mut handler: H, mut socket: Socket) -> io::Result<()> {
    let mut mailbox = Mailbox::new();
    handler.init(&mut mailbox);
    let why = match connection_loop(&mut handler, &mut socket, &mailbox).await {
        Ok(DisconnectReason::Transferred) => DisconnectReason::Transferred,
        Ok(why) => {
            // Boxed, because this is the largest part of the future and an idle connection does not need it.
            Box::pin(socket.close()).await;
            why
        }
        Err(error) => {
            drop(socket);
            DisconnectReason::Failed(error)
        }
    };
    drop(mailbox);
    handler.closed(&why).await;
    match why {
        DisconnectReason::Failed(error) => Err(error),
        DisconnectReason::ByPeer
        | DisconnectReason::ByHandler
        | DisconnectReason::ByShutdown
        | DisconnectReason::ByTimeout
        | DisconnectReason::Transferred => Ok(()),
    }
}

async fn connection_loop<H: Handler>(
    handler: &mut H,
    socket: &mut Socket,
    mailbox: &Mailbox<H>,
) -> io::Result<DisconnectReason> {
    let mut draining = socket.draining();
    let mut next = handler.connected(socket).await;
    let mut why = DisconnectReason::ByHandler;
    // Who is asked first: in turn, so that neither can keep the other waiting.
    let mut messages_first = false;
    loop {
        if socket.is_released() {
            // It is somebody else's now. An error is still one to report.
            return next.map(|_| DisconnectReason::Transferred);
        }
        if next? == Next::Close {
            return Ok(why);
        }
        messages_first = !messages_first;
        (next, why) = match next_event(socket, &mut draining, mailbox, messages_first).await? {
            HandlerEvent::Data(data) => (handler.data(data, socket).await, DisconnectReason::ByHandler),
            HandlerEvent::Message(message) => {
                // Messages have no budget of their own, as reads have.
                tokio::task::consume_budget().await;
                (message.deliver(handler, socket).await, DisconnectReason::ByHandler)
            }
            HandlerEvent::Idle => {
                let next = handler.idle(socket).await;
                socket.reset_read_timeout();
                (next, DisconnectReason::ByTimeout)
            }
            HandlerEvent::End => return Ok(DisconnectReason::ByPeer),
            HandlerEvent::Drain => {
                handler.shutdown(socket).await?;
                return Ok(if socket.is_released() {
                    DisconnectReason::Transferred
                } else {
                    DisconnectReason::ByShutdown
                });
            }
        };
    }
}

async fn next_event<H: Handler>(
    socket: &mut Socket,
    draining: &mut Draining,
    mailbox: &Mailbox<H>,
    messages_first: bool,
) -> io::Result<HandlerEvent<H>> {
    // A peer that never stops sending must not keep the server from going down.
    if draining.is_draining() {
        return Ok(HandlerEvent::Drain);
    }
    poll_fn(|cx| {
        if messages_first && let Poll::Ready(message) = mailbox.poll_message(cx) {
            return Poll::Ready(Ok(HandlerEvent::Message(message)));
        }
        match socket.poll_recv_event(cx) {
            Poll::Ready(Ok(RecvEvent::Data(data))) => return Poll::Ready(Ok(HandlerEvent::Data(data))),
            Poll::Ready(Ok(RecvEvent::End)) => return Poll::Ready(Ok(HandlerEvent::End)),
            Poll::Ready(Ok(RecvEvent::TimedOut)) => return Poll::Ready(Ok(HandlerEvent::Idle)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {}
        }
        if !messages_first && let Poll::Ready(message) = mailbox.poll_message(cx) {
            return Poll::Ready(Ok(HandlerEvent::Message(message)));
        }
        Pin::new(&mut *draining).poll(cx).map(|()| Ok(HandlerEvent::Drain))
    })
    .await
}
