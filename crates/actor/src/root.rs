//! The root of a tree, seen from outside.

use std::fmt;
use std::sync::Arc;

use impresario_supervision::{Event, ExitReason};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::life::ActorCell;
use crate::notify::{EventSender, ExitGuard};
use crate::tree::{self, TreeNode};
use crate::{ChildContext, Pid, Registry, StartError, Supervisor, SupervisorRef, log};

/// A running tree. Dropping it changes nothing; the tree lives on its own.
#[derive(Clone)]
pub struct Tree {
    root: SupervisorRef,
    cell: Arc<ActorCell>,
}

impl Supervisor {
    /// Starts the tree on this arbiter, for a program that embeds it. Returns when all children are ready. If this is
    /// dropped before, by a time-out for example, the tree is killed: nobody could reach it.
    ///
    /// # Errors
    ///
    /// What went wrong at the first start; nothing is left running then.
    ///
    /// # Panics
    ///
    /// Outside of an actix `System`.
    pub async fn start(self) -> Result<Tree, StartError> {
        let (tree, started) = self.launch();
        let guard = KillOnDrop(&tree);
        let started = started.await;
        std::mem::forget(guard);
        started.unwrap_or(Err(StartError::Failed(ExitReason::NoProc)))?;
        Ok(tree)
    }

    /// Begins to start the tree, which can be stopped meanwhile.
    pub(crate) fn launch(self) -> (Tree, oneshot::Receiver<Result<(), StartError>>) {
        let (events, mut incoming) = unbounded_channel();
        let env = ChildContext::root(self.log.clone().unwrap_or_else(log::terminal));
        let (root, cell) = (SupervisorRef::new(), Arc::clone(env.cell()));
        // Nobody may follow any more.
        let events = EventSender::new(move |event| drop(events.send(event)));
        let spec = root.child_spec("root", move |_| Ok(self.clone()));
        spec.starter.start(env, ExitGuard::new(events, Arc::clone(&cell)));
        let (result, started) = oneshot::channel();
        actix_rt::spawn(async move {
            let outcome = match incoming.recv().await {
                Some(Event::Started(_)) => Ok(()),
                Some(Event::Ignored(_)) => Err(StartError::Ignore),
                Some(Event::Exited(_, reason)) => Err(StartError::Failed(reason)),
                _ => Err(StartError::Failed(ExitReason::NoProc)),
            };
            // Nobody may be interested.
            let _ = result.send(outcome);
        });
        (Tree { root, cell }, started)
    }
}

/// A tree that nobody has yet. Dropped, it kills it.
struct KillOnDrop<'a>(&'a Tree);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
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
        tree::snapshot(&self.pid()).await
    }

    /// The names of the tree.
    pub fn system(&self) -> &Registry {
        self.cell.system()
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
