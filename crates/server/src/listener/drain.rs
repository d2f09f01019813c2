//! The child that drains: started last, so stopped first.

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
    /// The child that drains: put it after connections and acceptors, so that it is stopped first.
    ///
    /// When it is stopped, it asks acceptors to close their listening sockets and connections to finish. It exits when
    /// all have, or when the deadline has passed. What is left then ends with its supervisor. When it is stopped only
    /// because an acceptor or the [`Connections`] before it died, it does nothing.
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        child_spec(id.into(), self.clone(), Duration::ZERO, deadline, None)
    }
}

impl<P: Protocol> Connections<P> {
    /// The child that drains them; see [`ConnectionTracker::drain_spec`].
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        self.tracker().drain_spec(id, deadline)
    }
}

/// With a `lame_duck` that is not zero, it accepts for as long before, and only its status says that it will leave.
///
/// `acceptors` says how many stand before it, with a supervisor of connections; without it, those count that live when
/// it starts.
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
    // Its own deadline bounds the stop.
    ChildSpec::actor(id, factory).shutdown(Shutdown::Infinity)
}

/// Who stands before the drain: how many acceptors, and whether a supervisor of connections. Who is known to is counted
/// even if it has died since it was started: its death is not known to its supervisor yet, and is no shutdown.
fn expected_children(tracker: &ConnectionTracker, acceptors: Option<usize>) -> (usize, bool) {
    acceptors.map_or_else(|| tracker.alive_children(), |acceptors| (acceptors, true))
}

/// Waits for the stop of its supervisor, and turns it into good-byes.
struct Drain {
    tracker: ConnectionTracker,
    lame_duck: Duration,
    deadline: Option<Duration>,
    /// Who was there before it: how many acceptors, and whether a supervisor of connections.
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
    /// A stop that comes when one of those before it is gone is no shutdown: the supervisor restarts what stands after
    /// that one, or is about to be restarted itself.
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
                slog::info!(log, "leaving soon"; "seconds" => lame_duck.as_secs_f64());
                tokio::time::sleep(lame_duck).await;
                begin_drain(&tracker, &log);
            }
            timeout_opt(deadline, tracker.wait_empty()).await
        };
        ctx.spawn(drained.into_actor(self).map(|in_time, drain, ctx| {
            if in_time.is_none() {
                let left = drain.tracker.all();
                slog::warn!(drain.context.log(), "drain deadline passed, closing what is left"; "connections" => left);
            }
            drain.progress = Progress::Done;
            ctx.stop();
        }));
    }
}

/// Asks everybody to leave.
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
        // An actor without an address and without a future would end by itself.
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
        // As when both are killed as soon as they have started.
        let tracker = ConnectionTracker::new();
        assert_eq!(expected_children(&tracker, Some(2)), (2, true));
        let _accepting = tracker.accepting();
        assert_eq!(expected_children(&tracker, None), (1, false));
    }
}
