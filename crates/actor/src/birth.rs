//! How a factory becomes a life.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, Context};
use impresario_supervision::ExitReason;

use crate::door::Door;
use crate::notify::Notify;
use crate::panic::catch_panic;
use crate::task::{ChildTask, hear};
use crate::{ActorRef, ChildContext, StartError, mail};

/// What a factory makes.
pub(crate) type Made<A> = Result<A, StartError>;

/// A life to begin on this arbiter.
pub(crate) struct Birth<P> {
    pub(crate) env: ChildContext,
    pub(crate) notify: Notify,
    /// Whether it is ready when `started()` is done. Otherwise it says so itself.
    pub(crate) ack: bool,
    /// Is told of the life.
    pub(crate) publish: P,
}

impl<P> Birth<P> {
    /// From a factory that makes the actor at once.
    pub(crate) fn of<A>(self, factory: impl FnOnce(&ChildContext) -> Made<A>)
    where
        A: Actor<Context = Context<A>>,
        P: FnOnce(ActorRef<A>),
    {
        let made = take_turn::<A, _>(&self.env, || factory(&self.env));
        if let Some(life) = self.begin(made) {
            actix_rt::spawn(life);
        }
    }

    /// From a factory that takes its time. What the life is told meanwhile ends it.
    pub(crate) fn of_async<A, F>(mut self, factory: impl FnOnce(ChildContext) -> F)
    where
        A: Actor<Context = Context<A>>,
        F: Future<Output = Made<A>> + 'static,
        P: FnOnce(ActorRef<A>) + 'static,
    {
        match take_turn::<A, _>(&self.env, || factory(self.env.clone())) {
            Ok(making) => {
                self.notify.born();
                let making = Making { making: Some(Box::pin(making)), env: self.env.clone() };
                actix_rt::spawn(async move {
                    let made = making.await;
                    if let Some(life) = self.begin(made) {
                        life.await;
                    }
                });
            }
            Err(reason) => self.notify.exited(reason),
        }
    }

    /// The task that runs the life, if there is one.
    fn begin<A>(mut self, made: Result<Made<A>, ExitReason>) -> Option<ChildTask<A>>
    where
        A: Actor<Context = Context<A>>,
        P: FnOnce(ActorRef<A>),
    {
        match made {
            Ok(Ok(actor)) => {
                let env = self.env;
                let ack = self.ack.then(|| self.notify.notices().clone());
                let (context, door) = mail::context(env.life(), env.mailbox(), ack);
                env.life().open(Arc::<Door<A>>::clone(&door));
                (self.publish)(ActorRef::new(env.pid(), Arc::clone(&door)));
                return Some(ChildTask::new(actor, (context, door), &env, self.notify));
            }
            Ok(Err(StartError::Ignore)) => self.notify.ignored(),
            Ok(Err(StartError::Failed(reason))) | Err(reason) => self.notify.exited(reason),
        }
        None
    }
}

/// Runs the code of a factory as that of the actor, for whoever watches.
fn take_turn<A, T>(env: &ChildContext, code: impl FnOnce() -> T) -> Result<T, ExitReason> {
    env.turns().take(env.life(), type_name::<A>(), || catch_panic(code))
}

/// A factory at work. There is no actor yet that could refuse to stop or trap an exit, so whatever would end one ends
/// this.
struct Making<F> {
    /// `None` when it is done.
    making: Option<Pin<Box<F>>>,
    env: ChildContext,
}

impl<F> Making<F> {
    /// Drops the factory's future. A panic of that adds nothing to the reason.
    fn give_up(&mut self, reason: ExitReason) -> ExitReason {
        let making = self.making.take();
        let _ = catch_panic(move || drop(making));
        reason
    }
}

impl<A, F: Future<Output = Made<A>>> Future for Making<F> {
    type Output = Result<Made<A>, ExitReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let life = this.env.life();
        let word = life.poll(cx);
        if word.kill() && !word.stop() {
            return Poll::Ready(Err(this.give_up(ExitReason::Killed)));
        }
        if word.signals()
            && let Err(reason) = hear(life)
        {
            return Poll::Ready(Err(this.give_up(reason)));
        }
        if word.stop() {
            let reason = life.take_reason().unwrap_or(ExitReason::Shutdown);
            return Poll::Ready(Err(this.give_up(reason)));
        }
        let Some(making) = &mut this.making else { return Poll::Pending };
        match take_turn::<A, _>(&this.env, || making.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(made)) => {
                let making = this.making.take();
                Poll::Ready(catch_panic(move || drop(making)).map(|()| made))
            }
            Err(panic) => Poll::Ready(Err(this.give_up(panic))),
        }
    }
}

impl<F> Drop for Making<F> {
    /// The arbiter or the whole runtime is gone.
    fn drop(&mut self) {
        let making = self.making.take();
        let _ = catch_panic(move || drop(making));
    }
}
