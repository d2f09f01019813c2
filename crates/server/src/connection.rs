//! The actor that is one connection.

use std::io;
use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{Env, ExitReason};

use crate::ends::{End, Tally};
use crate::{Accepted, Address, Protocol};

/// Owns one connection for as long as both live.
pub(crate) struct Connection<P> {
    protocol: Arc<P>,
    /// Until it is claimed.
    accepted: Option<Accepted>,
    env: Env,
    /// How it ended; a panic or a kill leaves no time to say so.
    end: End,
    tally: Arc<Tally>,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(protocol: Arc<P>, accepted: Accepted, env: Env, tally: Arc<Tally>) -> Self {
        Self { protocol, accepted: Some(accepted), env, end: End::Crashed, tally }
    }

    fn end(&mut self, peer: &Address, result: io::Result<()>, ctx: &mut Context<Self>) {
        self.end = match result {
            Ok(()) => End::Completed,
            Err(error) if is_of_peer(&error) => {
                slog::debug!(self.env.log(), "connection lost"; "peer" => %peer, "reason" => %error);
                End::Lost
            }
            Err(error) => {
                self.env.set_exit_reason(ExitReason::Error(format!("connection from {peer}: {error}")));
                End::Failed
            }
        };
        ctx.stop();
    }
}

impl<P: Protocol> Actor for Connection<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(accepted) = self.accepted.take() else { return };
        let (protocol, peer) = (Arc::clone(&self.protocol), accepted.peer_addr().clone());
        // All of it is inside the future: that begins when the actor has started, so a panic is a life that failed
        // and is reported, not a start that did.
        let connection = async move { protocol.serve(accepted.claim()?).await };
        let connection = connection.into_actor(self);
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(&peer, result, ctx)));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        if self.end == End::Crashed {
            self.end = End::Stopped;
        }
        Running::Stop
    }
}

impl<P> Drop for Connection<P> {
    fn drop(&mut self) {
        self.tally.add(self.end);
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
