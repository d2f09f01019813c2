//! The actor that plays a worker.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Running, fut};
use impresario_actor::{ChildContext, ExitReason, ExitSignal};
use tokio::time::Instant;

use super::stage::{Body, Stage};
use crate::scenario::plan::OnShutdown;
use crate::scenario::world::ProcessId;

pub(super) struct Host {
    pub(super) stage: Arc<Stage>,
    pub(super) process: ProcessId,
    pub(super) env: ChildContext,
    pub(super) traps: Option<OnShutdown>,
    /// It exits by itself after this time, for this reason.
    pub(super) exit_after: Option<(Duration, ExitReason)>,
    /// It is on its way out.
    pub(super) leaving: bool,
    /// Its process is taking its time to exit and hears nothing more.
    pub(super) dying: bool,
    /// Its supervisor has told it to stop.
    pub(super) told: bool,
    /// Its process is dead, for this reason; nobody is to know.
    pub(super) ghost: Option<ExitReason>,
}

/// What its process is to hear.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// To exit by itself.
    ExitSelf(ExitReason),
    /// An exit signal.
    Signal(ExitReason),
    /// A kill.
    Kill,
    /// The host is not needed any more: let the supervisor know how the process ended.
    Release,
}

impl Message for Word {
    type Result = ();
}

impl Host {
    /// The process exits. Its supervisor hears of it if they are linked, or if it waits for that.
    fn exit(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.leaving || self.ghost.is_some() {
            return;
        }
        if !self.told && !self.stage.may_end(self.process, ctx.address()) {
            self.stage.die(self.process, &reason);
            self.ghost = Some(reason);
            return;
        }
        self.leaving = true;
        self.env.exit(reason, ctx);
    }

    /// A signal that the process traps.
    fn trapped(&mut self, reason: &ExitReason, ctx: &mut Context<Self>) {
        if self.dying || self.leaving || self.ghost.is_some() {
            return;
        }
        match self.traps.as_ref().and_then(|traps| traps.end(reason)) {
            None => {}
            Some((None, reason)) => self.exit(reason, ctx),
            Some((Some(delay), reason)) => {
                self.dying = true;
                self.stage.is_dying(self.process, Instant::now() + delay, &reason);
                ctx.run_later(delay, move |host, ctx| host.exit(reason, ctx));
            }
        }
    }
}

impl Stage {
    fn is_dying(&self, process: ProcessId, until: Instant, reason: &ExitReason) {
        if let Body::Worker { dying, .. } = &mut self.cast().processes[process.0].body {
            *dying = Some((until, reason.clone()));
        }
    }

    /// The supervisor of a process tells it to stop.
    pub(super) fn is_told(&self, process: ProcessId) {
        match &mut self.cast().processes[process.0].body {
            Body::Worker { told, .. } => *told = Some(Instant::now()),
            Body::Supervisor(supervisor) => supervisor.told = Some(Instant::now()),
        }
    }
}

impl Actor for Host {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.traps.is_some() {
            self.env.clone().trap_exits(ctx);
        }
        if let Body::Worker { host, .. } = &mut self.stage.cast().processes[self.process.0].body {
            *host = Some(ctx.address());
        }
        self.stage.announce(self.process);
        if let Some((after, reason)) = self.exit_after.take() {
            actix_rt::spawn(self.stage.clone().exits_after(self.process, after, reason));
        }
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        if self.leaving {
            return Running::Stop;
        }
        self.told = true;
        self.stage.is_told(self.process);
        if self.ghost.is_some() {
            // What a monitor says of it, unless the news of its end is there already.
            let reason = self.stage.news_of(self.process).unwrap_or(ExitReason::NoProc);
            self.env.set_exit_reason(reason);
            return Running::Stop;
        }
        if self.traps.is_none() && !self.dying {
            return Running::Stop;
        }
        // Who traps it reads of it when it comes to that.
        let later = fut::wrap_future::<_, Self>(tokio::task::yield_now());
        ctx.spawn(later.map(|(), host: &mut Self, ctx| host.trapped(&ExitReason::Shutdown, ctx)));
        Running::Continue
    }
}

impl Handler<ExitSignal> for Host {
    type Result = ();

    fn handle(&mut self, exit: ExitSignal, ctx: &mut Context<Self>) {
        self.trapped(&exit.reason, ctx);
    }
}

impl Handler<Word> for Host {
    type Result = ();

    fn handle(&mut self, word: Word, ctx: &mut Context<Self>) {
        match word {
            Word::ExitSelf(reason) if !self.dying => self.exit(reason, ctx),
            Word::ExitSelf(_) => {}
            Word::Signal(reason) if self.traps.is_some() => self.trapped(&reason, ctx),
            Word::Signal(ExitReason::Normal) => {}
            Word::Signal(reason) => self.exit(reason, ctx),
            Word::Kill => self.exit(ExitReason::Killed, ctx),
            Word::Release => {
                if let Some(reason) = self.ghost.take() {
                    self.leaving = true;
                    self.env.exit(reason, ctx);
                }
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stage.lost(self.process);
    }
}
