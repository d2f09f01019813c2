//! What is done with an actor between two of its messages.

use std::any::Any;

use actix::Actor;
use tokio::sync::oneshot;

use crate::census::SupervisorSnapshot;

/// Something to be done with an actor between two of its messages, even while it is suspended. In the order in which they
/// come.
pub(crate) enum SystemMessage {
    /// Suspends it; answered when it is. One that nobody waits for any more does nothing.
    Suspend(oneshot::Sender<()>),
    /// Lets it go on.
    Resume,
    /// A `StateFn<A>`.
    StateFn(Box<dyn Any + Send>),
}

/// What is done with an actor that is an `A`.
pub(crate) type StateFn<A> = Box<dyn FnOnce(&mut A, &mut <A as Actor>::Context) + Send>;

/// Makes the errand by which a supervisor, of whatever kind, says what it supervises.
pub(crate) type SnapshotFn = fn(oneshot::Sender<SupervisorSnapshot>) -> SystemMessage;

impl SystemMessage {
    pub(crate) fn state_fn<A: Actor>(
        function: impl FnOnce(&mut A, &mut A::Context) + Send + 'static,
    ) -> Self {
        let function: StateFn<A> = Box::new(function);
        Self::StateFn(Box::new(function))
    }
}
