//! The task that runs one incarnation of an actor.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, Context};
use impresario_supervision::ExitReason;

use crate::cell::mailbox::Mailbox;
use crate::cell::signals::{ExitAction, exit_action};
use crate::cell::{ActorCell, ExitSignal, Signal, TraceKind};
use crate::child::exit_guard::ExitGuard;
use crate::context::ChildContext;
use crate::panic::catch_panic;
use crate::registry::arbiters::ArbiterState;

/// Runs an actor until it exits, and reports the exit exactly once. Causes: a stop, a panic in any of its code,
/// an exit signal, a kill, a dropped arbiter.
pub(crate) struct ActorTask<A: Actor<Context = Context<A>>> {
    actor: Option<ContextFut<A, Context<A>>>,
    mailbox: Arc<Mailbox<A>>,
    arbiter: Arc<ArbiterState>,
    guard: ExitGuard,
}

impl<A: Actor<Context = Context<A>>> ActorTask<A> {
    pub(crate) fn new(
        actor: A,
        (context, mailbox): (Context<A>, Arc<Mailbox<A>>),
        env: &ChildContext,
        mut guard: ExitGuard,
    ) -> Self {
        guard.mark_running();
        // actix's own mailbox of the context stays empty: messages come through the mailbox of the cell.
        let actor = Some(context.into_future(actor));
        Self { actor, mailbox, arbiter: env.arbiter(), guard }
    }

    /// Drops the actor. Unless it has exited by itself, its context is terminated first: otherwise actix polls
    /// it once more during the drop, and a second panic there would abort the process.
    fn drop_actor(&mut self, exited: bool) -> Result<(), ExitReason> {
        let Some(mut actor) = self.actor.take() else { return Ok(()) };
        if !exited {
            actor.ctx().terminate();
        }
        self.arbiter.run_as(self.guard.cell(), type_name::<A>(), || catch_panic(move || drop(actor)))
    }

    fn exit_reason(&mut self, polled: Result<(), ExitReason>) -> ExitReason {
        match polled {
            Ok(()) => {
                let default = if self.guard.cell().is_stop_delivered() {
                    ExitReason::Shutdown
                } else {
                    ExitReason::Normal
                };
                let override_reason = self.guard.cell().take_exit_reason();
                self.drop_actor(true).err().or(override_reason).unwrap_or(default)
            }
            Err(panic) => {
                // The first panic is the reason; a second one during the drop is ignored.
                let _ = self.drop_actor(false);
                panic
            }
        }
    }

    /// Ends the incarnation without calling `stopping()`.
    fn abort_actor(&mut self, reason: ExitReason) -> Poll<()> {
        let _ = self.drop_actor(false);
        self.guard.exited(reason);
        Poll::Ready(())
    }
}

/// Handles the queued signals; an error is the reason to exit now.
pub(crate) fn handle_signals(cell: &Arc<ActorCell>) -> Result<(), ExitReason> {
    for signal in cell.take_signals() {
        match signal {
            Signal::Exit { from, reason, linked } => {
                cell.trace(|| TraceKind::ExitSignal { from: from.clone(), reason: reason.clone() });
                handle_exit_signal(cell, ExitSignal { from, reason }, linked)?;
            }
            Signal::Ping(reply) => {
                // An error means that the caller dropped its future. Nothing is left to do.
                let _ = reply.send(());
            }
        }
    }
    Ok(())
}

fn handle_exit_signal(cell: &Arc<ActorCell>, exit: ExitSignal, linked: bool) -> Result<(), ExitReason> {
    let own = exit.from.as_ref().is_some_and(|pid| Arc::ptr_eq(pid.cell(), cell));
    let trap_exit = cell.with_links(|links| links.trap_exit().cloned()).ok().flatten();
    match (exit_action(trap_exit.is_some(), own, &exit.reason), trap_exit) {
        (ExitAction::Terminate, _) => Err(exit.reason),
        (ExitAction::Deliver, Some(trap_exit)) => {
            trap_exit(exit, linked);
            Ok(())
        }
        _ => Ok(()),
    }
}

impl<A: Actor<Context = Context<A>>> Future for ActorTask<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        let cell = this.guard.cell();
        let flags = cell.poll(cx);
        // A stop that came before the kill is delivered first; see below.
        let stop_now = flags.stop() && !flags.stop_delivered();
        if flags.kill() && !stop_now {
            return this.abort_actor(ExitReason::Killed);
        }
        if flags.signals()
            && let Err(reason) = handle_signals(cell)
        {
            return this.abort_actor(reason);
        }
        if stop_now {
            cell.set_stop_delivered();
            // A stop request resumes a suspended actor: `stopping()` must be able to run.
            cell.set_suspended(false);
            cell.trace(|| TraceKind::Stop);
            if let Some(actor) = &mut this.actor {
                actor.ctx().stop();
            }
        }
        let Some(actor) = &mut this.actor else { return Poll::Ready(()) };
        this.mailbox.reset_budget();
        let polled = this.arbiter.run_as(cell, type_name::<A>(), || catch_panic(|| Pin::new(actor).poll(cx)));
        let polled = match polled {
            // The reason of a panic in a handler has precedence over panics in destructors that follow.
            _ if cell.is_poisoned() => Err(cell.take_panic().unwrap_or(ExitReason::Killed)),
            Ok(Poll::Pending) if flags.kill() => return this.abort_actor(ExitReason::Killed),
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Ok(()),
            Err(panic) => Err(panic),
        };
        let reason = this.exit_reason(polled);
        this.guard.exited(reason);
        Poll::Ready(())
    }
}

impl<A: Actor<Context = Context<A>>> Drop for ActorTask<A> {
    /// The arbiter or the whole runtime has ended.
    fn drop(&mut self) {
        let _ = self.drop_actor(false);
    }
}
