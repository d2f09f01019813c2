//! What a server does with the bytes of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;

use crate::{Draining, Socket};

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
pub trait Handler: 'static {
    /// The connection is there. Nothing was read from it yet.
    fn connected(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<Next>> {
        let _ = socket;
        async { Ok(Next::Continue) }
    }

    /// Bytes came: as many as there were, at least one. How they are cut says nothing about how they were sent.
    fn data(&mut self, data: Bytes, socket: &mut Socket) -> impl Future<Output = io::Result<Next>>;

    /// The server is going down; called between reads. Say good-bye; the connection closes afterwards.
    fn shutdown(&mut self, socket: &mut Socket) -> impl Future<Output = io::Result<()>> {
        let _ = socket;
        async { Ok(()) }
    }

    /// The connection is over. The last callback, unless the actor panicked or was killed.
    fn closed(&mut self, why: &Closed) -> impl Future<Output = ()> {
        let _ = why;
        async {}
    }
}

/// What comes next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for more bytes.
    Continue,
    /// Close the connection. What was sent is still delivered.
    Close,
}

/// Why a connection is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Closed {
    /// The peer will not send any more.
    ByPeer,
    /// The handler said [`Next::Close`].
    ByHandler,
    /// The server is going down.
    ByShutdown,
    /// Reading, writing or a callback failed.
    Failed(io::Error),
}

/// What there is to do between two callbacks.
enum Turn {
    Data(Bytes),
    End,
    Leave,
}

/// Serves one connection.
pub(crate) async fn run<H: Handler>(mut handler: H, mut socket: Socket) -> io::Result<()> {
    let why = match converse(&mut handler, &mut socket).await {
        Ok(why) => {
            // Boxed, because this is the largest part of the future and an idle connection does not need it.
            Box::pin(socket.close()).await;
            why
        }
        Err(error) => {
            drop(socket);
            Closed::Failed(error)
        }
    };
    handler.closed(&why).await;
    match why {
        Closed::Failed(error) => Err(error),
        Closed::ByPeer | Closed::ByHandler | Closed::ByShutdown => Ok(()),
    }
}

async fn converse<H: Handler>(handler: &mut H, socket: &mut Socket) -> io::Result<Closed> {
    let mut draining = socket.draining();
    let mut next = handler.connected(socket).await?;
    while next == Next::Continue {
        match turn(socket, &mut draining).await? {
            Turn::Data(data) => next = handler.data(data, socket).await?,
            Turn::End => return Ok(Closed::ByPeer),
            Turn::Leave => {
                handler.shutdown(socket).await?;
                return Ok(Closed::ByShutdown);
            }
        }
    }
    Ok(Closed::ByHandler)
}

async fn turn(socket: &mut Socket, draining: &mut Draining) -> io::Result<Turn> {
    // A peer that never stops sending must not keep the server from going down.
    if draining.is_draining() {
        return Ok(Turn::Leave);
    }
    poll_fn(|cx| match socket.poll_recv(cx) {
        Poll::Ready(Ok(Some(data))) => Poll::Ready(Ok(Turn::Data(data))),
        Poll::Ready(Ok(None)) => Poll::Ready(Ok(Turn::End)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Pin::new(&mut *draining).poll(cx).map(|()| Ok(Turn::Leave)),
    })
    .await
}
