//! The actor of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{ChildContext, ExitReason};

use crate::address::Address;
use crate::protocol::Protocol;
use crate::socket::accepted::Accepted;
use crate::tracker::ConnectionTracker;
use crate::tracker::metrics::Counter;
use crate::tracker::permit::Permit;

/// Owns one connection until it is closed.
pub(crate) struct ConnectionActor<P> {
    protocol: Arc<P>,
    /// `None` after the claim.
    accepted: Option<Accepted>,
    context: ChildContext,
    /// How it ended; `None` after a panic or a kill.
    end: Counter,
    /// The counters for that.
    tracker: ConnectionTracker,
}

impl<P: Protocol> ConnectionActor<P> {
    pub(crate) fn new(
        protocol: Arc<P>,
        accepted: Accepted,
        context: ChildContext,
        tracker: ConnectionTracker,
    ) -> Self {
        if let Some(entry) = accepted.permit().and_then(Permit::entry) {
            entry.set_served();
        }
        Self { protocol, accepted: Some(accepted), context, end: Counter::EndedCrashed, tracker }
    }

    fn end(&mut self, peer: &Address, result: Option<io::Result<()>>, ctx: &mut Context<Self>) {
        self.end = match result {
            None => Counter::EndedStopped,
            Some(Ok(())) => Counter::EndedCompleted,
            Some(Err(error)) if is_caused_by_peer(&error) => {
                slog::debug!(self.context.log(), "connection lost"; "peer" => %peer, "reason" => %error);
                Counter::EndedLost
            }
            Some(Err(error)) => {
                self.context.set_exit_reason(ExitReason::Error(format!("connection from {peer}: {error}")));
                Counter::EndedFailed
            }
        };
        ctx.stop();
    }
}

impl<P: Protocol> Actor for ConnectionActor<P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(accepted) = self.accepted.take() else { return };
        let (protocol, peer) = (Arc::clone(&self.protocol), accepted.peer_addr().clone());
        // Everything runs inside the future, which starts after the actor: a panic is then a reported exit and
        // not a failed start.
        let entry = accepted.permit().and_then(Permit::entry).cloned();
        let connection = async move {
            let mut serve = pin!(async move {
                let socket = accepted.claim()?;
                protocol.serve(socket).await
            });
            let Some(entry) = entry else { return Some(serve.await) };
            // Only this task polls it, so it is registered once.
            poll_fn(|cx| {
                entry.register_close_waker(cx);
                Poll::Ready(())
            })
            .await;
            poll_fn(|cx| match entry.is_closed() {
                true => Poll::Ready(None),
                false => serve.as_mut().poll(cx).map(Some),
            })
            .await
        };
        let connection = connection.into_actor(self);
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(&peer, result, ctx)));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        if self.end == Counter::EndedCrashed {
            self.end = Counter::EndedStopped;
        }
        Running::Stop
    }
}

impl<P> Drop for ConnectionActor<P> {
    fn drop(&mut self) {
        self.tracker.count(self.end);
    }
}

/// Whether the error is caused by the peer: a disconnect, or invalid input.
fn is_caused_by_peer(error: &io::Error) -> bool {
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
