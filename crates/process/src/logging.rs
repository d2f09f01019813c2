//! The logger of a process.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use slog::Logger;

use crate::identity::ProcessIdentity;

/// The logger of one process and the guard that flushes it.
///
/// Each process makes its own after the fork, because a thread of the parent, such as a logging thread, does
/// not exist in the child. Main and prototypes must log synchronously: `fork` refuses a process with a second
/// thread.
pub struct ProcessLogger {
    /// The logger.
    pub log: Logger,
    /// Dropped when the process exits, after its last log line. `None` if nothing has to be flushed.
    pub guard: Option<Box<dyn Any>>,
}

impl From<Logger> for ProcessLogger {
    fn from(log: Logger) -> Self {
        Self { log, guard: None }
    }
}

impl fmt::Debug for ProcessLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessLogger").field("guard", &self.guard.is_some()).finish_non_exhaustive()
    }
}

/// Makes the logger of a process from its identity.
pub(crate) type LoggerFactory = Arc<dyn Fn(&ProcessIdentity) -> ProcessLogger + Send + Sync>;
