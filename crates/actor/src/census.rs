//! What a supervisor says of those it supervises.

use std::sync::Arc;

use impresario_supervision::{ChildStatus, Strategy, Time};
use tokio::sync::oneshot;

use crate::driver::{Driver, Plan};
use crate::errand::Errand;
use crate::life::Life;

/// The children of a supervisor, as it sees them.
pub(crate) struct Census {
    /// The id of the supervisor.
    pub(crate) id: String,
    /// `None` for one of dynamic children.
    pub(crate) strategy: Option<Strategy>,
    /// Its clock.
    pub(crate) now: Time,
    pub(crate) children: Vec<(ChildStatus, Option<Arc<Life>>)>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// Makes the errand by which this kind of supervisor says what it supervises.
pub(crate) fn inspect<P: Plan>(answer: oneshot::Sender<Census>) -> Errand {
    Errand::job::<Driver<P>>(|driver, _| {
        // Who does not wait any more does not need it.
        let _ = answer.send(driver.census());
    })
}
