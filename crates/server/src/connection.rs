//! The actor that is one connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use impresario_actor::{Env, ExitReason};

use crate::{Accepted, Protocol};

/// Owns one connection for as long as both live.
pub(crate) struct Connection<P> {
    protocol: Arc<P>,
    /// Until it is claimed.
    accepted: Option<Accepted>,
    env: Env,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(protocol: Arc<P>, accepted: Accepted, env: Env) -> Self {
        Self { protocol, accepted: Some(accepted), env }
    }

    fn end(&self, peer: SocketAddr, result: io::Result<()>, ctx: &mut Context<Self>) {
        match result {
            Ok(()) => {}
            Err(error) if is_of_peer(&error) => {
                slog::debug!(self.env.log(), "connection lost"; "peer" => %peer, "reason" => %error);
            }
            Err(error) => {
                self.env.set_exit_reason(ExitReason::Error(format!("connection from {peer}: {error}")));
            }
        }
        ctx.stop();
    }
}

impl<P: Protocol> Actor for Connection<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(accepted) = self.accepted.take() else { return };
        let (protocol, peer) = (Arc::clone(&self.protocol), accepted.peer_addr());
        // All of it is inside the future: that begins when the actor has started, so a panic is a life that failed
        // and is reported, not a start that did.
        let connection = async move { protocol.serve(accepted.claim()?).await };
        let connection = connection.into_actor(self);
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(peer, result, ctx)));
    }
}

/// Whether it is the peer's doing: it is gone, or talks nonsense, which peers may at any time.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe
            | ConnectionAborted
            | ConnectionReset
            | InvalidData
            | NotConnected
            | TimedOut
            | UnexpectedEof
    )
}
