//! The actor that is one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{ChildContext, ExitReason};

use crate::metrics::Count;
use crate::{Accepted, Address, ConnectionTracker, Permit, Protocol};

/// Owns one connection for as long as both live.
pub(crate) struct Connection<P> {
    protocol: Arc<P>,
    /// Until it is claimed.
    accepted: Option<Accepted>,
    env: ChildContext,
    /// How it ended; a panic or a kill leaves no time to say so.
    end: Count,
    /// Where that is counted.
    gate: ConnectionTracker,
}

impl<P: Protocol> Connection<P> {
    pub(crate) fn new(
        protocol: Arc<P>,
        mut accepted: Accepted,
        env: ChildContext,
        gate: ConnectionTracker,
    ) -> Self {
        if let Some(permit) = accepted.permit_mut() {
            permit.arrive();
            permit.conn().inspect(|conn| conn.set_served());
        }
        Self { protocol, accepted: Some(accepted), env, end: Count::EndedCrashed, gate }
    }

    fn end(&mut self, peer: &Address, result: Option<io::Result<()>>, ctx: &mut Context<Self>) {
        self.end = match result {
            None => Count::EndedStopped,
            Some(Ok(())) => Count::EndedCompleted,
            Some(Err(error)) if is_of_peer(&error) => {
                slog::debug!(self.env.log(), "connection lost"; "peer" => %peer, "reason" => %error);
                Count::EndedLost
            }
            Some(Err(error)) => {
                self.env.set_exit_reason(ExitReason::Error(format!("connection from {peer}: {error}")));
                Count::EndedFailed
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
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(&peer, result, ctx)));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        if self.end == Count::EndedCrashed {
            self.end = Count::EndedStopped;
        }
        Running::Stop
    }
}

impl<P> Drop for Connection<P> {
    fn drop(&mut self) {
        self.gate.cast(self.end);
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
