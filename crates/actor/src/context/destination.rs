//! Where a message can be sent without knowing what is there.

use actix::{Actor, Context, Handler, Message};

use crate::cell::actor_ref::ActorRef;

/// Where a timer can send a message (OTP: `Dest`).
///
/// A life ([`ActorRef`]), whoever lives in a slot when the message is sent ([`ChildRef`](crate::ChildRef)), or a server, for its casts
/// ([`ServerRef`](crate::ServerRef)).
#[doc(alias = "Dest")]
pub trait Destination<M> {
    /// Sends a message. If nobody is there, or its queue is full, the message is dropped: nobody waits for an answer.
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
