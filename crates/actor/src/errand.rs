//! What is done with an actor between two of its messages.

use std::any::Any;

use actix::Actor;
use tokio::sync::oneshot;

use crate::census::Census;

/// Something to be done with an actor between two of its messages, even while it is suspended. In the order in which they
/// come.
pub(crate) enum Errand {
    /// Suspends it; answered when it is. One that nobody waits for any more does nothing.
    Suspend(oneshot::Sender<()>),
    /// Lets it go on.
    Resume,
    /// A `Job<A>`.
    Job(Box<dyn Any + Send>),
}

/// What is done with an actor that is an `A`.
pub(crate) type Job<A> = Box<dyn FnOnce(&mut A, &mut <A as Actor>::Context) + Send>;

/// Makes the errand by which a supervisor, of whatever kind, says what it supervises.
pub(crate) type Inspect = fn(oneshot::Sender<Census>) -> Errand;

impl Errand {
    pub(crate) fn job<A: Actor>(job: impl FnOnce(&mut A, &mut A::Context) + Send + 'static) -> Self {
        let job: Job<A> = Box::new(job);
        Self::Job(Box::new(job))
    }
}
