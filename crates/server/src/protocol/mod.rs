//! What serves the bytes of a connection: the traits and types that a user of this crate implements.
//!
//! A [`Protocol`] is one future for each connection. A [`Handler`](handler::Handler) is a protocol as callbacks, with a
//! [`Mailbox`](mailbox::Mailbox) for messages from other actors. A [`Transport`](transport::Transport) adds time-outs,
//! the PROXY header and TLS to any protocol. This folder may not know listeners, acceptors, or the actor that runs a
//! protocol.

pub(crate) mod handler;
pub(crate) mod mailbox;
pub(crate) mod next;
pub(crate) mod receive;
pub(crate) mod transport;

use std::any::type_name;
use std::future::Future;
use std::io;

use crate::socket::Socket;
use handler::Handler;

/// Serves the connections of a listener: one call, and one future, for each connection.
///
/// A function that makes a [`Handler`] is one, and so is [`serve`] of an async function. Other crates add more,
/// for instance HTTP.
pub trait Protocol: Send + Sync + 'static {
    /// Serves one connection from beginning to end, on its arbiter. The future is the body of the connection's
    /// actor: its panic is the actor's panic, and it is dropped when the actor is stopped.
    ///
    /// Wait for [`Socket::draining`] too; otherwise the connection is closed at the drain deadline.
    ///
    /// # Errors
    ///
    /// Why the connection ended early. Kinds that are caused by the peer (reset, closed, timed out, or
    /// `InvalidData`) end the actor normally. Any other is a failure of the actor, and is reported.
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static;

    /// The name of the type that handles the bytes, for reports of crashed connections. Default: this type.
    fn handler_name(&self) -> &'static str {
        type_name::<Self>()
    }
}

impl<F, H> Protocol for F
where
    F: Fn() -> H + Send + Sync + 'static,
    H: Handler,
{
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        handler::run(self(), socket)
    }

    fn handler_name(&self) -> &'static str {
        type_name::<H>()
    }
}

/// A protocol as one async function, where a loop reads better than callbacks.
///
/// A loop that does not wait for [`Socket::draining`] is closed at the drain deadline.
///
/// ```
/// # use impresario_server::{Listener, Socket, serve};
/// # use std::io;
/// async fn echo(mut socket: Socket) -> io::Result<()> {
///     while let Some(data) = socket.recv().await? {
///         socket.send(data).await?;
///     }
///     Ok(())
/// }
///
/// let listener = Listener::tcp("127.0.0.1:7007", serve(echo));
/// ```
pub fn serve<F, Fut>(function: F) -> Serve<F>
where
    F: Fn(Socket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<()>> + 'static,
{
    Serve(function)
}

/// See [`serve`].
#[derive(Clone, Debug)]
pub struct Serve<F>(F);

impl<F, Fut> Protocol for Serve<F>
where
    F: Fn(Socket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<()>> + 'static,
{
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        (self.0)(socket)
    }

    fn handler_name(&self) -> &'static str {
        type_name::<F>()
    }
}
