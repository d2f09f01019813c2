//! The task that runs one life of an actor.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, Context};
use impresario_supervision::ExitReason;

use crate::door::Door;
use crate::life::Life;
use crate::notify::Notify;
use crate::panic::catch_panic;
use crate::signal::{Signal, Verdict, judge};
use crate::trace::TraceKind;
use crate::turns::Turns;
use crate::{ChildContext, ExitSignal};

/// Runs an actor until it ends, and says so exactly once, whatever happens: a stop, a panic in any of its code, an exit
/// signal, a kill, a dropped arbiter.
pub(crate) struct ChildTask<A: Actor<Context = Context<A>>> {
    actor: Option<ContextFut<A, Context<A>>>,
    door: Arc<Door<A>>,
    turns: Arc<Turns>,
    notify: Notify,
}

impl<A: Actor<Context = Context<A>>> ChildTask<A> {
    pub(crate) fn new(
        actor: A,
        (context, door): (Context<A>, Arc<Door<A>>),
        env: &ChildContext,
        mut notify: Notify,
    ) -> Self {
        notify.born();
        // Its own mailbox stays empty: the messages come through the door.
        let actor = Some(context.into_future(actor));
        Self { actor, door, turns: env.turns(), notify }
    }

    /// Drops the actor. Unless it has ended by itself its context is terminated first: otherwise actix polls it once
    /// more while dropping it, and a second panic there would abort the process.
    fn bury(&mut self, ended: bool) -> Result<(), ExitReason> {
        let Some(mut actor) = self.actor.take() else { return Ok(()) };
        if !ended {
            actor.ctx().terminate();
        }
        self.turns.take(self.notify.life(), type_name::<A>(), || catch_panic(move || drop(actor)))
    }

    fn end(&mut self, polled: Result<(), ExitReason>) -> ExitReason {
        match polled {
            Ok(()) => {
                let told =
                    if self.notify.life().is_told() { ExitReason::Shutdown } else { ExitReason::Normal };
                let own = self.notify.life().take_reason();
                self.bury(true).err().or(own).unwrap_or(told)
            }
            Err(panic) => {
                // The first panic is the reason; one more while dropping adds nothing.
                let _ = self.bury(false);
                panic
            }
        }
    }

    /// Ends the life without asking the actor.
    fn cut_off(&mut self, reason: ExitReason) -> Poll<()> {
        let _ = self.bury(false);
        self.notify.exited(reason);
        Poll::Ready(())
    }
}

/// Deals with what came out of band; an error is the reason to end now.
pub(crate) fn hear(life: &Arc<Life>) -> Result<(), ExitReason> {
    for signal in life.take_signals() {
        match signal {
            Signal::Exit { from, reason, linked } => {
                life.trace(|| TraceKind::ExitSignal { from: from.clone(), reason: reason.clone() });
                exit_signal(life, ExitSignal { from, reason }, linked)?;
            }
            Signal::Ping(answer) => {
                // Who does not wait any more does not need it.
                let _ = answer.send(());
            }
        }
    }
    Ok(())
}

fn exit_signal(life: &Arc<Life>, exit: ExitSignal, linked: bool) -> Result<(), ExitReason> {
    let own = exit.from.as_ref().is_some_and(|pid| Arc::ptr_eq(pid.life(), life));
    let trap = life.with_bonds(|bonds| bonds.trapping().cloned()).ok().flatten();
    match (judge(trap.is_some(), own, &exit.reason), trap) {
        (Verdict::Die, _) => Err(exit.reason),
        (Verdict::Deliver, Some(trap)) => {
            trap(exit, linked);
            Ok(())
        }
        _ => Ok(()),
    }
}

impl<A: Actor<Context = Context<A>>> Future for ChildTask<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        let life = this.notify.life();
        let word = life.poll(cx);
        // A stop that came before the kill is heard first, and may do; see below.
        let told_now = word.stop() && !word.told();
        if word.kill() && !told_now {
            return this.cut_off(ExitReason::Killed);
        }
        if word.signals()
            && let Err(reason) = hear(life)
        {
            return this.cut_off(reason);
        }
        if told_now {
            life.set_told();
            // Who is suspended hears this, and needs its wits to act on it.
            life.set_suspended(false);
            life.trace(|| TraceKind::Stop);
            if let Some(actor) = &mut this.actor {
                actor.ctx().stop();
            }
        }
        let Some(actor) = &mut this.actor else { return Poll::Ready(()) };
        this.door.renew_turn();
        let polled = this.turns.take(life, type_name::<A>(), || catch_panic(|| Pin::new(actor).poll(cx)));
        let polled = match polled {
            // Whatever came after a panic in a handler, as of something that was dropped.
            _ if this.door.is_broken() => Err(life.take_panic().unwrap_or(ExitReason::Killed)),
            Ok(Poll::Pending) if word.kill() => return this.cut_off(ExitReason::Killed),
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Ok(()),
            Err(panic) => Err(panic),
        };
        let reason = this.end(polled);
        this.notify.exited(reason);
        Poll::Ready(())
    }
}

impl<A: Actor<Context = Context<A>>> Drop for ChildTask<A> {
    /// The arbiter or the whole runtime is gone.
    fn drop(&mut self) {
        let _ = self.bury(false);
    }
}
