//! Where a timer can send a message.

use actix::{Actor, Context, Handler, Message};

use crate::cell::actor_ref::ActorRef;

/// A destination of a timer (OTP: `Dest`).
///
/// One incarnation ([`ActorRef`]), the incarnation that runs when the message is sent
/// ([`ChildRef`](crate::ChildRef)), or a server, for its casts ([`ServerRef`](crate::ServerRef)).
#[doc(alias = "Dest")]
pub trait Destination<M> {
    /// Sends a message. It is dropped if no incarnation is running or the queue is full: the sender does not
    /// wait for a result.
    fn deliver(&self, message: M);
}

impl<A, M> Destination<M> for ActorRef<A>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn deliver(&self, message: M) {
        drop(self.cast(message));
    }
}
