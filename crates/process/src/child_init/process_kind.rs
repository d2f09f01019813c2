//! The two kinds of child process.

use std::io;

use impresario_wire::Role;

use crate::identity::ProcessIdentity;
use crate::process_init::{Prefork, ProcessInit};
use crate::rules::pool::PoolSpec;

/// What a child process runs.
pub(crate) enum ProcessKind {
    /// The user's code; the process forks no children.
    Leaf(Box<dyn ProcessInit>),
    /// A parent process itself: it forks a pool of `worker` processes.
    Prototype { pool: PoolSpec, worker: Box<dyn ProcessInit> },
}

impl ProcessKind {
    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Leaf(init) => init.role(),
            Self::Prototype { .. } => Role::Prototype,
        }
    }

    /// The names of the listeners that the process inherits, for itself or for its workers. Calls user code.
    pub(crate) fn listeners(&self) -> Vec<String> {
        match self {
            Self::Leaf(init) | Self::Prototype { worker: init, .. } => init.listeners(),
        }
    }

    /// Creates the descriptors of the next child. A prototype gets none.
    pub(super) fn prefork(&mut self, child: &ProcessIdentity) -> io::Result<Prefork> {
        match self {
            Self::Leaf(init) => init.prefork(child),
            Self::Prototype { .. } => Ok(Prefork::default()),
        }
    }
}
