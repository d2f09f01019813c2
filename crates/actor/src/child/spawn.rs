//! From a factory to a running actor.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, Context};
use impresario_supervision::ExitReason;

use crate::cell::actor_ref::ActorRef;
use crate::cell::mailbox::Mailbox;
use crate::child::actor_task::{ActorTask, handle_signals};
use crate::child::exit_guard::ExitGuard;
use crate::child::message_loop as mail;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::panic::catch_panic;

/// The result of a factory.
pub(crate) type FactoryResult<A> = Result<A, StartError>;

/// A request to spawn an incarnation on this arbiter.
pub(crate) struct SpawnRequest<P> {
    pub(crate) env: ChildContext,
    pub(crate) guard: ExitGuard,
    /// Whether it is ready when `started()` has returned. Otherwise it acknowledges by itself.
    pub(crate) ack: bool,
    /// Receives the events of the incarnation.
    pub(crate) on_start: P,
}

impl<P> SpawnRequest<P> {
    /// Spawns from a factory that returns the actor immediately.
    pub(crate) fn spawn<A>(self, factory: impl FnOnce(&ChildContext) -> FactoryResult<A>)
    where
        A: Actor<Context = Context<A>>,
        P: FnOnce(ActorRef<A>),
    {
        let result = run_factory::<A, _>(&self.env, || factory(&self.env));
        if let Some(task) = self.into_task(result) {
            actix_rt::spawn(task);
        }
    }

    /// Spawns from an async factory. A stop, kill or exit signal meanwhile ends the incarnation.
    pub(crate) fn spawn_async<A, F>(mut self, factory: impl FnOnce(ChildContext) -> F)
    where
        A: Actor<Context = Context<A>>,
        F: Future<Output = FactoryResult<A>> + 'static,
        P: FnOnce(ActorRef<A>) + 'static,
    {
        match run_factory::<A, _>(&self.env, || factory(self.env.clone())) {
            Ok(future) => {
                self.guard.mark_running();
                let task = FactoryTask { future: Some(Box::pin(future)), env: self.env.clone() };
                actix_rt::spawn(async move {
                    let result = task.await;
                    if let Some(task) = self.into_task(result) {
                        task.await;
                    }
                });
            }
            Err(reason) => self.guard.exited(reason),
        }
    }

    /// Spawns the task of the incarnation, if the factory succeeded.
    fn into_task<A>(mut self, result: Result<FactoryResult<A>, ExitReason>) -> Option<ActorTask<A>>
    where
        A: Actor<Context = Context<A>>,
        P: FnOnce(ActorRef<A>),
    {
        match result {
            Ok(Ok(actor)) => {
                let env = self.env;
                let ack = self.ack.then(|| self.guard.events().clone());
                let (context, mailbox) = mail::new_context(env.cell(), env.mailbox_limit(), ack);
                env.cell().set_mailbox(Arc::<Mailbox<A>>::clone(&mailbox));
                (self.on_start)(ActorRef::new(env.pid(), Arc::clone(&mailbox)));
                return Some(ActorTask::new(actor, (context, mailbox), &env, self.guard));
            }
            Ok(Err(StartError::Ignore)) => self.guard.ignored(),
            Ok(Err(StartError::Failed(reason))) | Err(reason) => self.guard.exited(reason),
        }
        None
    }
}

/// Runs the code of a factory under the record of its actor, for the watchdog.
fn run_factory<A, T>(env: &ChildContext, code: impl FnOnce() -> T) -> Result<T, ExitReason> {
    env.arbiter().run_as(env.cell(), type_name::<A>(), || catch_panic(code))
}

/// A running async factory. No actor exists yet that could refuse a stop or trap an exit, so each of them ends
/// this.
struct FactoryTask<F> {
    /// `None` when it has completed.
    future: Option<Pin<Box<F>>>,
    env: ChildContext,
}

impl<F> FactoryTask<F> {
    /// Drops the future of the factory. A panic in its destructor does not change the reason.
    fn abort(&mut self, reason: ExitReason) -> ExitReason {
        let future = self.future.take();
        let _ = catch_panic(move || drop(future));
        reason
    }
}

impl<A, F: Future<Output = FactoryResult<A>>> Future for FactoryTask<F> {
    type Output = Result<FactoryResult<A>, ExitReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let cell = this.env.cell();
        let flags = cell.poll(cx);
        if flags.kill() && !flags.stop() {
            return Poll::Ready(Err(this.abort(ExitReason::Killed)));
        }
        if flags.signals()
            && let Err(reason) = handle_signals(cell)
        {
            return Poll::Ready(Err(this.abort(reason)));
        }
        if flags.stop() {
            let reason = cell.take_exit_reason().unwrap_or(ExitReason::Shutdown);
            return Poll::Ready(Err(this.abort(reason)));
        }
        let Some(future) = &mut this.future else { return Poll::Pending };
        match run_factory::<A, _>(&this.env, || future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                let future = this.future.take();
                Poll::Ready(catch_panic(move || drop(future)).map(|()| result))
            }
            Err(panic) => Poll::Ready(Err(this.abort(panic))),
        }
    }
}

impl<F> Drop for FactoryTask<F> {
    /// The arbiter or the whole runtime has ended.
    fn drop(&mut self) {
        let future = self.future.take();
        let _ = catch_panic(move || drop(future));
    }
}
