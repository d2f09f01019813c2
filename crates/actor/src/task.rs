//! The task that runs one life of an actor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::dev::ContextFut;
use actix::{Actor, ActorContext, ActorFuture, Addr, AsyncContext, Context};
use impresario_supervision::ExitReason;

use crate::control::{Control, Word};
use crate::notify::{Notify, StartAck};
use crate::panic::catch;

/// Runs an actor until it ends, and says so exactly once, whatever happens: a stop, a panic in any of its code, a
/// kill, a dropped arbiter.
pub(crate) struct ChildTask<A: Actor<Context = Context<A>>> {
    actor: Option<ContextFut<A, Context<A>>>,
    /// A child lives until it is told to end, not until nobody can reach it any more, as actix has it.
    _address: Addr<A>,
    control: Arc<Control>,
    notify: Notify,
    told_to_stop: bool,
}

impl<A: Actor<Context = Context<A>>> ChildTask<A> {
    /// With `ack`, the life is ready when `started()` and whatever it waits for are done.
    pub(crate) fn new(
        actor: A,
        mut context: Context<A>,
        control: Arc<Control>,
        mut notify: Notify,
        ack: bool,
    ) -> Self {
        if ack {
            // The first future waited for is the last to run, and it runs before the first message.
            context.wait(Acknowledge(notify.ack()));
        }
        notify.born();
        let address = context.address();
        Self {
            _address: address,
            actor: Some(context.into_future(actor)),
            control,
            notify,
            told_to_stop: false,
        }
    }

    /// Drops the actor. Unless it has ended by itself its context is terminated first: otherwise actix polls it once
    /// more while dropping it, and a second panic there would abort the process.
    fn bury(&mut self, ended: bool) -> Result<(), ExitReason> {
        let Some(mut actor) = self.actor.take() else { return Ok(()) };
        if !ended {
            actor.ctx().terminate();
        }
        catch(move || drop(actor))
    }

    fn end(&mut self, polled: Result<(), ExitReason>) -> ExitReason {
        match polled {
            Ok(()) => {
                let told = if self.told_to_stop { ExitReason::Shutdown } else { ExitReason::Normal };
                let own = self.control.take_reason();
                self.bury(true).err().or(own).unwrap_or(told)
            }
            Err(panic) => {
                // The first panic is the reason; one more while dropping adds nothing.
                let _ = self.bury(false);
                panic
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> Future for ChildTask<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.control.poll(cx) {
            Word::Kill => {
                let _ = this.bury(false);
                this.notify.exited(ExitReason::Killed);
                return Poll::Ready(());
            }
            Word::Stop if !this.told_to_stop => {
                this.told_to_stop = true;
                if let Some(actor) = &mut this.actor {
                    actor.ctx().stop();
                }
            }
            Word::Stop | Word::Run => {}
        }
        let Some(actor) = &mut this.actor else { return Poll::Ready(()) };
        let polled = match catch(|| Pin::new(actor).poll(cx)) {
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

/// An actor future that says the life is ready.
struct Acknowledge(StartAck);

impl<A: Actor> ActorFuture<A> for Acknowledge {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        _actor: &mut A,
        _context: &mut A::Context,
        _task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        self.0.started();
        Poll::Ready(())
    }
}
