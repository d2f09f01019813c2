//! The drain: the last child of a listener, which its supervisor stops first.

use std::future::pending;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{ChildContext, ChildId, ChildSpec, Shutdown};
use slog::Logger;

use crate::connections::Connections;
use crate::protocol::Protocol;
use crate::tracker::ConnectionTracker;
use crate::tracker::phase::PhaseEvent;
use crate::tracker::wait::timeout_opt;

impl ConnectionTracker {
    /// The child that drains. Put it after connections and acceptors under a rest-for-one supervisor, so that it is
    /// stopped first.
    ///
    /// A stop request makes it notify acceptors, which close their sockets, and connections, which should finish. It exits
    /// when all have, or at the deadline. Connections that are open then are stopped with their supervisor.
    ///
    /// It does not drain when it is stopped because an acceptor or the [`Connections`] before it have exited.
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        child_spec(id.into(), self.clone(), Duration::ZERO, deadline, None)
    }
}

impl<P: Protocol> Connections<P> {
    /// The child that drains these connections; see [`ConnectionTracker::drain_spec`].
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        self.tracker().drain_spec(id, deadline)
    }
}

/// The drain as a child. Before the drain acceptors accept for the time `lame_duck`, with the status `LameDuck`.
///
/// `acceptors` is the number of acceptors before it, next to a supervisor of connections. With `None` the acceptors and
/// the supervisor that run at its start are counted.
pub(crate) fn child_spec(
    id: ChildId,
    tracker: ConnectionTracker,
    lame_duck: Duration,
    deadline: Option<Duration>,
    acceptors: Option<usize>,
) -> ChildSpec {
    let factory = move |context: &ChildContext| {
        tracker.apply(PhaseEvent::Start);
        let (alive_children, progress) = (expected_children(&tracker, acceptors), Progress::Idle);
        Ok(Drain {
            tracker: tracker.clone(),
            lame_duck,
            deadline,
            alive_children,
            progress,
            context: context.clone(),
        })
    };
    // The drain's own deadline bounds the stop.
    ChildSpec::actor(id, factory).shutdown(Shutdown::Infinity)
}

/// The children before the drain: the number of acceptors, and whether there is a supervisor of connections.
///
/// With a known number the children count even if one has exited already. Its supervisor has not handled that exit yet,
/// and will then stop the drain, which is no shutdown.
fn expected_children(tracker: &ConnectionTracker, acceptors: Option<usize>) -> (usize, bool) {
    acceptors.map_or_else(|| tracker.alive_children(), |acceptors| (acceptors, true))
}

/// The actor that turns a stop request of its supervisor into a drain.
struct Drain {
    tracker: ConnectionTracker,
    lame_duck: Duration,
    deadline: Option<Duration>,
    /// The children before it: the number of acceptors, and whether there is a supervisor of connections.
    alive_children: (usize, bool),
    progress: Progress,
    context: ChildContext,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Idle,
    Draining,
    Done,
}

impl Drain {
    /// Whether a stop request is a shutdown. It is not when a child before the drain has exited: the supervisor restarts
    /// that child and its later siblings, or exits itself and is restarted.
    fn is_shutdown(&self) -> bool {
        let ((acceptors, served), (had, was_served)) = (self.tracker.alive_children(), self.alive_children);
        acceptors >= had && served >= was_served
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        self.progress = Progress::Draining;
        let (tracker, lame_duck, deadline) = (self.tracker.clone(), self.lame_duck, self.deadline);
        let log = self.context.log().clone();
        let stays = !lame_duck.is_zero() && tracker.apply(PhaseEvent::LameDuck);
        if !stays {
            begin_drain(&tracker, &log);
        }
        let drained = async move {
            if stays {
                slog::info!(log, "lame duck, draining soon"; "seconds" => lame_duck.as_secs_f64());
                tokio::time::sleep(lame_duck).await;
                begin_drain(&tracker, &log);
            }
            timeout_opt(deadline, tracker.wait_empty()).await
        };
        ctx.spawn(drained.into_actor(self).map(|in_time, drain, ctx| {
            if in_time.is_none() {
                let left = drain.tracker.all();
                slog::warn!(drain.context.log(), "drain deadline passed, closing the remaining connections"; "connections" => left);
            }
            drain.progress = Progress::Done;
            ctx.stop();
        }));
    }
}

/// Logs the drain and notifies acceptors and connections.
fn begin_drain(tracker: &ConnectionTracker, log: &Logger) {
    let connections = tracker.all();
    if connections > 0 {
        slog::info!(log, "draining"; "connections" => connections);
    }
    tracker.apply(PhaseEvent::Stop);
}

impl Actor for Drain {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // An actix actor without an address and without a future stops.
        ctx.spawn(pending().into_actor(self));
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        match self.progress {
            Progress::Idle if self.is_shutdown() => {
                self.begin(ctx);
                Running::Continue
            }
            Progress::Draining => Running::Continue,
            Progress::Idle | Progress::Done => Running::Stop,
        }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if self.progress != Progress::Idle {
            self.tracker.apply(PhaseEvent::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptor_dead_before_the_drain_began_is_no_shutdown() {
        // No acceptor runs: it was killed right after its start.
        let tracker = ConnectionTracker::new();
        assert_eq!(expected_children(&tracker, Some(2)), (2, true));
        let _accepting = tracker.accepting();
        assert_eq!(expected_children(&tracker, None), (1, false));
    }
}
