//! The root of a tree: start it, run it as a program with signals, watch its arbiters.
//!
//! This is the last layer. Nothing else in the crate imports it.

pub(crate) mod run;
pub(crate) mod start;
pub(crate) mod watchdog;

use std::fmt;
use std::sync::Arc;

use impresario_supervision::ExitReason;

use crate::cell::{ActorCell, Pid};
use crate::registry::Registry;
use crate::supervisor::snapshot::{self, TreeNode};
use crate::supervisor::supervisor_ref::SupervisorRef;

/// A running tree. Dropping this handle does not stop it.
#[derive(Clone)]
pub struct Tree {
    root: SupervisorRef,
    cell: Arc<ActorCell>,
    registry: Registry,
}

impl Tree {
    /// A reference to the root supervisor, for requests.
    pub fn root(&self) -> &SupervisorRef {
        &self.root
    }

    /// A snapshot of the tree.
    ///
    /// Takes at most 1 s. A supervisor that does not answer in that time is marked, and its children are
    /// missing. Of each dynamic supervisor the 100 oldest instances are listed. The supervisors answer one
    /// after the other, so the snapshot is not one instant.
    #[doc(alias = "observer")]
    pub async fn tree(&self) -> TreeNode {
        snapshot::snapshot(&self.pid()).await
    }

    /// The registry of the tree.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::of(&self.cell)
    }

    /// Requests a stop: the children stop in reverse, each by its own rule.
    pub fn stop(&self) {
        self.cell.stop();
    }

    /// Kills the tree.
    pub fn kill(&self) {
        self.cell.kill();
    }

    /// Waits until the tree has exited. Can be called any number of times.
    pub async fn stopped(&self) -> ExitReason {
        self.pid().wait_exit().await
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("exit", &self.cell.exit_reason()).finish_non_exhaustive()
    }
}
