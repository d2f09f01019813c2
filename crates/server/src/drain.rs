//! The child that drains: started last, so stopped first.

use std::future::pending;
use std::time::Duration;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Running, WrapFuture};
use impresario_actor::{ChildId, ChildSpec, Env, Shutdown};

use crate::Gate;

pub(crate) fn child_spec(id: ChildId, gate: Gate, deadline: Option<Duration>) -> ChildSpec {
    let factory = move |env: &Env| {
        gate.reopen();
        let acceptors = gate.acceptors();
        Ok(Drain { gate: gate.clone(), deadline, acceptors, progress: Progress::Idle, env: env.clone() })
    };
    // Its own deadline bounds the stop.
    ChildSpec::actor(id, factory).shutdown(Shutdown::Infinity)
}

/// Waits for the stop of its supervisor, and turns it into good-byes.
struct Drain {
    gate: Gate,
    deadline: Option<Duration>,
    /// How many acceptors there were before it.
    acceptors: usize,
    progress: Progress,
    env: Env,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Idle,
    Draining,
    Done,
}

impl Drain {
    /// A stop that comes when an acceptor is gone is no shutdown: the supervisor restarts what stands after it.
    fn is_shutdown(&self) -> bool {
        self.gate.acceptors() >= self.acceptors
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        self.progress = Progress::Draining;
        let connections = self.gate.active();
        if connections > 0 {
            slog::info!(self.env.log(), "draining"; "connections" => connections);
        }
        self.gate.begin_drain();
        let (gate, deadline) = (self.gate.clone(), self.deadline);
        let drained = async move {
            match deadline {
                Some(deadline) => tokio::time::timeout(deadline, gate.empty()).await.is_ok(),
                None => {
                    gate.empty().await;
                    true
                }
            }
        };
        ctx.spawn(drained.into_actor(self).map(|in_time, drain, ctx| {
            if !in_time {
                let left = drain.gate.active();
                slog::warn!(drain.env.log(), "drain deadline passed, closing what is left"; "connections" => left);
            }
            drain.progress = Progress::Done;
            ctx.stop();
        }));
    }
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
            self.gate.end_drain();
        }
    }
}
