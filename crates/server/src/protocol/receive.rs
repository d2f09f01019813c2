//! Messages from other actors to the handler of a connection.

use std::future::Future;
use std::io;

use impresario_actor::CastError;

use super::handler::Handler;
use super::mailbox::{ConnectionRef, DeliverMessage, Delivery};
use super::next::Next;
use crate::socket::Socket;

/// A handler for messages of this type from other actors (OTP: `handle_info/2`).
///
/// Messages are handled between reads, alternating with bytes of the peer. They do not restart the read
/// timeout.
///
/// ```
/// # use std::io;
/// # use impresario_server::{Bytes, ConnectionRef, Handler, Mailbox, Next, Receive, Socket};
/// # use std::sync::{Arc, Mutex};
/// /// One member of a chat; the room has all of them.
/// struct Member(Arc<Mutex<Vec<ConnectionRef<Member>>>>);
///
/// impl Handler for Member {
///     fn init(&mut self, mailbox: &mut Mailbox<Self>) {
///         self.0.lock().expect("no panic").push(mailbox.open(100));
///     }
///
///     async fn data(&mut self, line: Bytes, _: &mut Socket) -> io::Result<Next> {
///         // A member that is closed or has a full mailbox is removed.
///         self.0.lock().expect("no panic").retain(|member| member.cast(line.clone()).is_ok());
///         Ok(Next::Continue)
///     }
/// }
///
/// impl Receive<Bytes> for Member {
///     async fn receive(&mut self, line: Bytes, socket: &mut Socket) -> io::Result<Next> {
///         socket.send(line).await?;
///         Ok(Next::Continue)
///     }
/// }
/// ```
#[doc(alias = "handle_info")]
pub trait Receive<M>: Handler {
    /// A message has arrived. Nothing is read while this runs, as with [`Handler::data`].
    fn receive(&mut self, message: M, socket: &mut Socket) -> impl Future<Output = io::Result<Next>>;
}

impl<H> ConnectionRef<H> {
    /// Sends a message to the handler. It is delivered unless the connection closes first.
    ///
    /// # Errors
    ///
    /// `Full` when the [mailbox](super::mailbox::Mailbox::open) is at its limit, `NotAvailable` when the
    /// connection is closed. Both return the message.
    pub fn cast<M>(&self, message: M) -> Result<(), CastError<M>>
    where
        H: Receive<M>,
        M: Send + 'static,
    {
        self.push(message, |message| Box::new(TypedMessage(message)))
    }
}

struct TypedMessage<M>(M);

impl<H: Receive<M>, M: Send + 'static> DeliverMessage<H> for TypedMessage<M> {
    fn deliver<'a>(self: Box<Self>, handler: &'a mut H, socket: &'a mut Socket) -> Delivery<'a> {
        Box::pin(handler.receive(self.0, socket))
    }
}
