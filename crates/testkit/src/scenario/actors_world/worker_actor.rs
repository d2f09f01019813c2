//! The actor of a worker process.

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Running, fut};
use impresario_actor::{ExitReason, ExitSignal};
use tokio::time::Instant;

use super::types::{Body, Shared, WorkerActor, WorkerCommand};
use crate::scenario::world::ProcessId;

impl Message for WorkerCommand {
    type Result = ();
}

impl WorkerActor {
    /// The process exits. The supervisor is notified if they are linked, or if it waits for the exit.
    fn exit(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.exiting || self.hidden_exit.is_some() {
            return;
        }
        if !self.stop_requested && !self.shared.may_exit(self.process, ctx.address()) {
            self.shared.record_exit(self.process, &reason);
            self.hidden_exit = Some(reason);
            return;
        }
        self.exiting = true;
        self.context.exit(reason, ctx);
    }

    /// Handles an exit signal that the process traps.
    fn handle_exit_signal(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.delayed_exit || self.exiting || self.hidden_exit.is_some() {
            return;
        }
        match self.on_shutdown.as_ref().and_then(|on_shutdown| on_shutdown.response_to(reason)) {
            None => {}
            Some((None, reason)) => self.exit(reason, ctx),
            Some((Some(delay), reason)) => {
                self.delayed_exit = true;
                self.shared.record_delayed_exit(self.process, Instant::now() + delay, &reason);
                ctx.run_later(delay, move |actor, ctx| actor.exit(reason, ctx));
            }
        }
    }
}

impl Shared {
    fn record_delayed_exit(&self, process: ProcessId, until: Instant, reason: &ExitReason) {
        if let Body::Worker { delayed_exit, .. } = &mut self.lock().processes[process.0].body {
            *delayed_exit = Some((until, reason.clone()));
        }
    }

    /// Records the stop request of a process.
    pub(super) fn record_stop_request(&self, process: ProcessId) {
        match &mut self.lock().processes[process.0].body {
            Body::Worker { stop_requested_at, .. } => *stop_requested_at = Some(Instant::now()),
            Body::Supervisor(supervisor) => supervisor.stop_requested_at = Some(Instant::now()),
        }
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.on_shutdown.is_some() {
            self.context.clone().trap_exits(ctx);
        }
        if let Body::Worker { actor, .. } = &mut self.shared.lock().processes[self.process.0].body {
            *actor = Some(ctx.address());
        }
        self.shared.record_start(self.process);
        if let Some((after, reason)) = self.exit_after.take() {
            actix_rt::spawn(self.shared.clone().exit_after_delay(self.process, after, reason));
        }
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if self.exiting {
            return Running::Stop;
        }
        self.stop_requested = true;
        self.shared.record_stop_request(self.process);
        if self.hidden_exit.is_some() {
            // The reason that a monitor gives: that of the queued exit, else `noproc`.
            let reason = self.shared.take_queued_exit(self.process).unwrap_or(ExitReason::NoProc);
            self.context.set_exit_reason(reason);
            return Running::Stop;
        }
        if self.on_shutdown.is_none() && !self.delayed_exit {
            return Running::Stop;
        }
        // A process that traps exits reads the signal in its next turn.
        let later = fut::wrap_future::<_, Self>(tokio::task::yield_now());
        ctx.spawn(
            later.map(|(), actor: &mut Self, ctx| actor.handle_exit_signal(&ExitReason::Shutdown, ctx)),
        );
        Running::Continue
    }
}

impl Handler<ExitSignal> for WorkerActor {
    type Result = ();

    fn handle(&mut self, exit: ExitSignal, ctx: &mut Context<Self>) {
        self.handle_exit_signal(&exit.reason, ctx);
    }
}

impl Handler<WorkerCommand> for WorkerActor {
    type Result = ();

    fn handle(&mut self, command: WorkerCommand, ctx: &mut Context<Self>) {
        match command {
            WorkerCommand::ExitSelf(reason) if !self.delayed_exit => self.exit(reason, ctx),
            WorkerCommand::ExitSelf(_) => {}
            WorkerCommand::Signal(reason) if self.on_shutdown.is_some() => {
                self.handle_exit_signal(&reason, ctx);
            }
            WorkerCommand::Signal(ExitReason::Normal) => {}
            WorkerCommand::Signal(reason) => self.exit(reason, ctx),
            WorkerCommand::Kill => self.exit(ExitReason::Killed, ctx),
            WorkerCommand::Release => {
                if let Some(reason) = self.hidden_exit.take() {
                    self.exiting = true;
                    self.context.exit(reason, ctx);
                }
            }
        }
    }
}

impl Drop for WorkerActor {
    fn drop(&mut self) {
        self.shared.actor_dropped(self.process);
    }
}
