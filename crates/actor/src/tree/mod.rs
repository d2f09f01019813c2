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

/// A running tree. Dropping it changes nothing; the tree lives on its own.
#[derive(Clone)]
pub struct Tree {
    root: SupervisorRef,
    cell: Arc<ActorCell>,
    registry: Registry,
}

impl Tree {
    /// The supervisor at the root, to be asked for things.
    pub fn root(&self) -> &SupervisorRef {
        &self.root
    }

    /// Everything in the tree, as it is now.
    ///
    /// It is always there within a second, also when parts of the tree are suspended, busy or stuck: a supervisor that
    /// does not answer is shown so, and what is under it is not. Of each dynamic supervisor the 100 oldest instances are
    /// listed. The supervisors answer one after the other, so this is not one moment.
    #[doc(alias = "observer")]
    pub async fn tree(&self) -> TreeNode {
        snapshot::snapshot(&self.pid()).await
    }

    /// The names of the tree.
    pub fn system(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::of(&self.cell)
    }

    /// Asks the tree to stop: the children in reverse order, each by its own rule.
    pub fn stop(&self) {
        self.cell.stop();
    }

    /// Ends the tree at once, with everything in it.
    pub fn kill(&self) {
        self.cell.kill();
    }

    /// Waits for the end of the tree, however often it is asked.
    pub async fn stopped(&self) -> ExitReason {
        self.pid().wait_exit().await
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("exit", &self.cell.exit_reason()).finish_non_exhaustive()
    }
}
