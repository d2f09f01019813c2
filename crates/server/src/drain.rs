//! The child that drains: started last, so stopped first.

use std::future::pending;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{ChildContext, ChildId, ChildSpec, Shutdown};
use slog::Logger;

use crate::ConnectionTracker;
use crate::phase::Step;
use crate::waiting::within;

/// With a `lame_duck` that is not zero, it accepts for as long before, and only its status says that it will leave.
///
/// `acceptors` says how many stand before it, with a supervisor of connections; without it, those count that live when
/// it starts.
pub(crate) fn child_spec(
    id: ChildId,
    gate: ConnectionTracker,
    lame_duck: Duration,
    deadline: Option<Duration>,
    acceptors: Option<usize>,
) -> ChildSpec {
    let factory = move |env: &ChildContext| {
        gate.step(Step::Start);
        let (living, progress) = (before(&gate, acceptors), Progress::Idle);
        Ok(Drain { gate: gate.clone(), lame_duck, deadline, living, progress, env: env.clone() })
    };
    // Its own deadline bounds the stop.
    ChildSpec::actor(id, factory).shutdown(Shutdown::Infinity)
}

/// Who stands before the drain: how many acceptors, and whether a supervisor of connections. Who is known to is counted
/// even if it has died since it was started: its death is not known to its supervisor yet, and is no shutdown.
fn before(gate: &ConnectionTracker, acceptors: Option<usize>) -> (usize, bool) {
    acceptors.map_or_else(|| gate.living(), |acceptors| (acceptors, true))
}

/// Waits for the stop of its supervisor, and turns it into good-byes.
struct Drain {
    gate: ConnectionTracker,
    lame_duck: Duration,
    deadline: Option<Duration>,
    /// Who was there before it: how many acceptors, and whether a supervisor of connections.
    living: (usize, bool),
    progress: Progress,
    env: ChildContext,
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
        let ((acceptors, served), (had, was_served)) = (self.gate.living(), self.living);
        acceptors >= had && served >= was_served
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        self.progress = Progress::Draining;
        let (gate, lame_duck, deadline) = (self.gate.clone(), self.lame_duck, self.deadline);
        let log = self.env.log().clone();
        let stays = !lame_duck.is_zero() && gate.step(Step::LameDuck);
        if !stays {
            ask_to_leave(&gate, &log);
        }
        let drained = async move {
            if stays {
                slog::info!(log, "leaving soon"; "seconds" => lame_duck.as_secs_f64());
                tokio::time::sleep(lame_duck).await;
                ask_to_leave(&gate, &log);
            }
            within(deadline, gate.empty()).await
        };
        ctx.spawn(drained.into_actor(self).map(|in_time, drain, ctx| {
            if in_time.is_none() {
                let left = drain.gate.all();
                slog::warn!(drain.env.log(), "drain deadline passed, closing what is left"; "connections" => left);
            }
            drain.progress = Progress::Done;
            ctx.stop();
        }));
    }
}

/// Asks everybody to leave.
fn ask_to_leave(gate: &ConnectionTracker, log: &Logger) {
    let connections = gate.all();
    if connections > 0 {
        slog::info!(log, "draining"; "connections" => connections);
    }
    gate.step(Step::Stop);
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
            self.gate.step(Step::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_died_before_the_drain_had_begun_is_missed_too() {
        // As when both are killed as soon as they have started.
        let gate = ConnectionTracker::new();
        assert_eq!(before(&gate, Some(2)), (2, true));
        let _accepting = gate.accepting();
        assert_eq!(before(&gate, None), (1, false));
    }
}
