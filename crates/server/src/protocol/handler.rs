//! User code for one connection, as callbacks.

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

/// User code for one connection. Its actor owns one value for each connection.
///
/// Write the callbacks as `async fn`. While one runs, nothing more is read, so the kernel slows a fast peer
/// down. Only [`data`](Self::data) is required.
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
/// An error closes the connection. So does a panic, which is reported as a panic of the actor; no further
/// callback runs. A callback may [transfer the connection](Socket::release): then this handler ends, whatever
/// the callback returns.
pub trait Handler: 'static {
    /// The first callback, before the connection is used. [Open](Mailbox::open) the mailbox here if other
    /// actors [send messages](crate::Receive) to this connection.
    fn init(&mut self, mailbox: &mut Mailbox<Self>)
    where
        Self: Sized,
    {
        let _ = mailbox;
    }

    /// The connection is established. Nothing was read from it yet.
    fn connected(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<Next>> {
        let _ = socket;
        async { Ok(Next::Continue) }
    }

    /// Bytes have arrived, at least one. Their boundaries do not reflect the boundaries of the peer's writes.
    fn data(&mut self, data: Bytes, socket: &mut Socket) -> impl Future<Output = io::Result<Next>>;

    /// The peer was silent for the [read timeout](Socket::set_read_timeout). The default closes the
    /// connection (OTP: the timeout of `gen_server`). Not called without a read timeout.
    fn idle(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<Next>> {
        let _ = socket;
        async { Ok(Next::Close) }
    }

    /// The listener drains; called between reads. Send a farewell; the connection closes afterwards.
    fn shutdown(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<()>> {
        let _ = socket;
        async { Ok(()) }
    }

    /// The connection is closed. The last callback, unless the actor panicked or was killed.
    fn closed(&mut self, why: &DisconnectReason) -> impl Future<Output = ()> {
        let _ = why;
        async {}
    }
}

/// Why a connection was closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer sends no more.
    ByPeer,
    /// The handler returned [`Next::Close`].
    ByHandler,
    /// The listener drained.
    ByShutdown,
    /// The peer was silent for the read timeout.
    ByTimeout,
    /// The handler transferred it to another owner.
    Transferred,
    /// Reading, writing or a callback failed.
    Failed(io::Error),
}

/// The next event between two callbacks.
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
            // Boxed: it is the largest part of the future, and an idle connection does not need it.
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
    // Alternates between messages and bytes, so that neither delays the other.
    let mut messages_first = false;
    loop {
        if socket.is_released() {
            // It has another owner now. An error is still reported.
            return next.map(|_| DisconnectReason::Transferred);
        }
        if next? == Next::Close {
            return Ok(why);
        }
        messages_first = !messages_first;
        (next, why) = match next_event(socket, &mut draining, mailbox, messages_first).await? {
            HandlerEvent::Data(data) => (handler.data(data, socket).await, DisconnectReason::ByHandler),
            HandlerEvent::Message(message) => {
                // Messages have no budget of their own, unlike reads.
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
    // Checked first: a peer that sends without end must not delay the drain.
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
