//! The actor that is one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use impresario_actor::{Env, ExitReason};

use crate::metrics::Count;
use crate::{Accepted, Gate, Permit, Protocol};

/// Owns one connection for as long as both live.
pub(crate) struct Connection<P> {
    protocol: Arc<P>,
    /// Until it is claimed.
    accepted: Option<Accepted>,
    /// Where its end is counted; nowhere once it is.
    gate: Option<Gate>,
    env: Env,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(protocol: Arc<P>, accepted: Accepted, env: Env) -> Self {
        let gate = accepted.permit().map(|permit| permit.gate().clone());
        if let Some(conn) = accepted.permit().and_then(Permit::conn) {
            conn.set_served();
        }
        Self { protocol, accepted: Some(accepted), gate, env }
    }

    /// Counts its end, once.
    fn ended(&mut self, how: Count) {
        if let Some(gate) = self.gate.take() {
            gate.tell(how);
        }
    }

    fn end(&mut self, peer: SocketAddr, result: Option<io::Result<()>>, ctx: &mut Context<Self>) {
        match result {
            None => self.ended(Count::EndedClosed),
            Some(Ok(())) => self.ended(Count::EndedFinished),
            Some(Err(error)) if is_of_peer(&error) => {
                self.ended(Count::EndedLost);
                slog::debug!(self.env.log(), "connection lost"; "peer" => %peer, "reason" => %error);
            }
            Some(Err(error)) => {
                self.ended(Count::EndedFailed);
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
        let conn = accepted.permit().and_then(Permit::conn).cloned();
        let connection = async move {
            let mut serve = pin!(async move {
                let socket = accepted.claim()?;
                protocol.serve(socket).await
            });
            let Some(conn) = conn else { return Some(serve.await) };
            // This task is the only one that will ever poll it, so once is enough.
            poll_fn(|cx| {
                conn.closed_by(cx);
                Poll::Ready(())
            })
            .await;
            poll_fn(|cx| match conn.is_closed() {
                true => Poll::Ready(None),
                false => serve.as_mut().poll(cx).map(Some),
            })
            .await
        };
        let connection = connection.into_actor(self);
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(peer, result, ctx)));
    }
}

impl<P> Drop for Connection<P> {
    /// Whatever did not end by itself has crashed, or was stopped.
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.tell(Count::EndedCrashed);
        }
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
