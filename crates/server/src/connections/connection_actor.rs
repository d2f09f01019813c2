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

/// The owner of one connection. It exits when the connection is closed or transferred.
pub(crate) struct ConnectionActor<P: Protocol> {
    protocol: Arc<P>,
    /// The connection until the actor has started.
    accepted: Option<Accepted>,
    peer: Address,
    context: ChildContext,
    /// The counter of its end. The initial value is the one for a panic or a kill, which run no code here.
    end: Counter,
    /// The tracker that counts the end.
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
        let peer = accepted.peer_addr().clone();
        Self { protocol, accepted: Some(accepted), peer, context, end: Counter::EndedCrashed, tracker }
    }

    fn end(&mut self, result: Option<io::Result<()>>, ctx: &mut Context<Self>) {
        self.end = match result {
            None => Counter::EndedStopped,
            Some(Ok(())) => Counter::EndedCompleted,
            Some(Err(error)) if is_caused_by_peer(&error) => {
                slog::debug!(self.context.log(), "connection lost"; "peer" => %self.peer, "reason" => %error);
                Counter::EndedLost
            }
            Some(Err(error)) => {
                self.context.set_exit_reason(ExitReason::Error(error.to_string()));
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
        let protocol = Arc::clone(&self.protocol);
        // The claim and the call of the protocol are inside the future, which runs after the start. So a panic is reported
        // as an exit of the connection, not as a failed start.
        let entry = accepted.permit().and_then(Permit::entry).cloned();
        let connection = async move {
            let mut serve = pin!(async move {
                let socket = accepted.claim()?;
                protocol.serve(socket).await
            });
            let Some(entry) = entry else { return Some(serve.await) };
            // Registered once: only this task polls the connection.
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
        ctx.spawn(connection.map(move |result, actor, ctx| actor.end(result, ctx)));
    }

    fn stopping(&mut self, _: &mut Context<Self>) -> Running {
        if self.end == Counter::EndedCrashed {
            self.end = Counter::EndedStopped;
        }
        Running::Stop
    }
}

impl<P: Protocol> Drop for ConnectionActor<P> {
    fn drop(&mut self) {
        // Only what is reported: the text costs allocations.
        if matches!(self.end, Counter::EndedCrashed | Counter::EndedFailed) {
            self.context.set_report_field("listener", self.tracker.name());
            self.context.set_report_field("peer", self.peer.to_string());
            self.context.set_report_field("handler", self.protocol.handler_name());
        }
        self.tracker.count(self.end);
    }
}

/// Whether the peer caused the error: it closed the connection, exceeded a timeout or violated the protocol.
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
