//! What can be asked of any life while it runs (OTP: `sys`).

use std::any::Any;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, ActorFuture, AsyncContext, Context};
use impresario_supervision::ExitReason;
use tokio::sync::oneshot;

use crate::Pid;
use crate::life::Life;

impl Pid {
    /// Has the actor handle nothing until it is resumed: no message, no timer, no future of its own. Returns when that is
    /// so. It can still be stopped and killed (OTP: `sys:suspend`).
    ///
    /// # Errors
    ///
    /// Why the life ended, if it has.
    pub async fn suspend(&self) -> Result<(), ExitReason> {
        let (answer, suspended) = oneshot::channel();
        self.life().errand(Errand::Suspend(answer));
        match suspended.await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Lets it go on (OTP: `sys:resume`).
    pub fn resume(&self) {
        self.life().set_suspended(false);
    }
}

/// Something to be done with an actor between two of its messages, even while it is suspended.
pub(crate) enum Errand {
    /// Suspends it; answered when it is.
    Suspend(oneshot::Sender<()>),
    /// A `Job<A>`.
    Job(Box<dyn Any + Send>),
}

/// What is done with an actor that is an `A`.
pub(crate) type Job<A> = Box<dyn FnOnce(&mut A, &mut <A as Actor>::Context) + Send>;

impl Errand {
    pub(crate) fn job<A: Actor>(job: impl FnOnce(&mut A, &mut A::Context) + Send + 'static) -> Self {
        let job: Job<A> = Box::new(job);
        Self::Job(Box::new(job))
    }
}

/// Does the errands that wait for a life.
pub(crate) fn run_errands<A: Actor<Context = Context<A>>>(
    life: &Arc<Life>,
    actor: &mut A,
    context: &mut Context<A>,
) {
    while let Some(errand) = life.take_errand() {
        match errand {
            Errand::Suspend(answer) => {
                if !life.is_suspended() {
                    life.set_suspended(true);
                    context.wait(Suspended(Arc::clone(life)));
                }
                // Who does not wait any more does not need it.
                let _ = answer.send(());
            }
            Errand::Job(job) => {
                if let Ok(job) = job.downcast::<Job<A>>() {
                    job(actor, context);
                }
            }
        }
    }
}

/// A future that the actor waits for before anything else, until it is resumed.
struct Suspended(Arc<Life>);

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Suspended {
    type Output = ();

    fn poll(
        self: StdPin<&mut Self>,
        actor: &mut A,
        context: &mut Context<A>,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        run_errands(&self.0, actor, context);
        // Whoever resumes the life wakes it.
        if self.0.is_suspended() { Poll::Pending } else { Poll::Ready(()) }
    }
}
