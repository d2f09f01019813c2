//! What a supervisor says of those it supervises.

use std::sync::Arc;

use impresario_supervision::{ChildStatus, Strategy, Time};
use tokio::sync::oneshot;

use crate::driver::{SupervisorActor, SupervisorCore};
use crate::errand::SystemMessage;
use crate::life::ActorCell;

/// The children of a supervisor, as it sees them.
pub(crate) struct SupervisorSnapshot {
    /// The id of the supervisor.
    pub(crate) id: String,
    /// `None` for one of dynamic children.
    pub(crate) strategy: Option<Strategy>,
    /// Its clock.
    pub(crate) now: Time,
    pub(crate) children: Vec<(ChildStatus, Option<Arc<ActorCell>>)>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// Makes the errand by which this kind of supervisor says what it supervises.
pub(crate) fn snapshot_message<P: SupervisorCore>(
    reply: oneshot::Sender<SupervisorSnapshot>,
) -> SystemMessage {
    SystemMessage::state_fn::<SupervisorActor<P>>(|supervisor, _| {
        // Who does not wait any more does not need it.
        let _ = reply.send(supervisor.snapshot());
    })
}
