//! A reference to a server, for calls and casts.

use std::fmt;

use actix::{Context, Handler, Message};
use impresario_supervision::ChildId;

use crate::cell::Pid;
use crate::cell::actor_ref::{ActorRef, CastError};
use crate::child::spec::ChildSpec;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::context::destination::Destination;
use crate::gen_server::reply::{CallMessage, ReplyTo};
use crate::gen_server::{GenServer, ServerActor};
use crate::refs::call::Call;
use crate::refs::child_ref::ChildRef;
use crate::registry::Registry;

/// A message of a server that has no reply.
pub(crate) struct CastMessage<C>(C);

impl<C> Message for CastMessage<C> {
    type Result = ();
}

impl<S: GenServer> Handler<CastMessage<S::Cast>> for ServerActor<S> {
    type Result = ();

    fn handle(&mut self, CastMessage(cast): CastMessage<S::Cast>, ctx: &mut Context<Self>) {
        self.run(ctx, |server, ctx| server.handle_cast(cast, ctx));
    }
}

/// Refers to a [`GenServer`]: to the slot of a child, so it resolves to the current incarnation, or, by
/// [`from_actor`](Self::from_actor), to one incarnation.
pub struct ServerRef<S: GenServer>(ChildRef<ServerActor<S>>);

impl<S: GenServer> ServerRef<S> {
    /// A reference that resolves to no server until a spec made from it is started.
    pub fn new() -> Self {
        Self(ChildRef::new())
    }

    /// Refers to this incarnation only.
    pub fn from_actor(actor: ActorRef<ServerActor<S>>) -> Self {
        let name = ChildRef::new();
        name.set_current(actor);
        Self(name)
    }

    /// A spec of a server that this reference resolves to. The factory is called for every incarnation.
    /// Permanent, as [`ChildSpec::actor`].
    #[doc(alias = "start_link")]
    pub fn child_spec<F>(&self, id: impl Into<ChildId>, factory: F) -> ChildSpec
    where
        F: Fn(&ChildContext) -> Result<S, StartError> + Send + Sync + 'static,
    {
        self.0.child_spec(id, move |env| Ok(ServerActor::new(factory(env)?, env)))
    }

    /// Calls the server and waits for the reply, for 5 s by default (OTP: `gen_server:call`).
    ///
    /// `make` builds the call from its [`ReplyTo`](crate::ReplyTo). A variant that holds nothing else is its
    /// own `make`: `counter.call(Ask::Value)`. Otherwise write `counter.call(|reply| Ask::Divide(2, reply))`. The call is
    /// sent when it is first polled.
    pub fn call<T: Send + 'static>(
        &self,
        make: impl FnOnce(ReplyTo<T>) -> S::Call + Send + 'static,
    ) -> Call<ServerActor<S>, CallMessage<S::Call, T>> {
        self.0.call(CallMessage::new(make))
    }

    /// Sends a cast and does not wait (OTP: `gen_server:cast`).
    ///
    /// # Errors
    ///
    /// Returns the message when the queue is full or no incarnation is running.
    pub fn cast(&self, cast: S::Cast) -> Result<(), CastError<S::Cast>> {
        self.0.cast(CastMessage(cast)).map_err(|error| match error {
            CastError::NotAvailable(CastMessage(cast)) => CastError::NotAvailable(cast),
            CastError::Full(CastMessage(cast)) => CastError::Full(cast),
        })
    }

    /// The pid of the current incarnation.
    #[doc(alias = "whereis")]
    pub fn pid(&self) -> Option<Pid> {
        self.0.pid()
    }

    /// Waits without a limit until an incarnation is running.
    pub async fn available(&self) -> Pid {
        self.0.available().await.pid().clone()
    }

    /// The same reference as that of an actor, for messages beside calls and casts.
    pub fn child(&self) -> &ChildRef<ServerActor<S>> {
        &self.0
    }
}

impl Pid {
    /// The reference of a running server with this pid, if it is one.
    pub fn server<S: GenServer>(&self) -> Option<ServerRef<S>> {
        self.actor().map(ServerRef::from_actor)
    }
}

impl Registry {
    /// The server that has this name, if it is of this type.
    #[doc(alias = "whereis")]
    pub fn whereis_server<S: GenServer>(&self, name: &str) -> Option<ServerRef<S>> {
        self.whereis(name)?.server()
    }

    /// The servers of this type in a group.
    pub fn servers_of<S: GenServer>(&self, group: &str) -> Vec<ServerRef<S>> {
        self.members(group).iter().filter_map(Pid::server).collect()
    }
}

impl<S: GenServer> Destination<S::Cast> for ServerRef<S> {
    fn deliver(&self, message: S::Cast) {
        drop(self.cast(message));
    }
}

impl<S: GenServer> Default for ServerRef<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: GenServer> Clone for ServerRef<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: GenServer> fmt::Debug for ServerRef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerRef<{}>", std::any::type_name::<S>())
    }
}
