//! The root of a tree, seen from outside.

use std::fmt;
use std::sync::Arc;

use impresario_supervision::{Event, ExitReason};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{oneshot, watch};

use crate::life::Life;
use crate::notify::{Notices, Notify};
use crate::tree::{self, TreeNode};
use crate::{Env, Pid, StartError, Supervisor, SupervisorRef, System, log};

/// A running tree. Dropping it changes nothing; the tree lives on its own.
#[derive(Clone)]
pub struct Tree {
    root: SupervisorRef,
    life: Arc<Life>,
    exit: watch::Receiver<Option<ExitReason>>,
}

impl Supervisor {
    /// Starts the tree on this arbiter, for a program that embeds it. Returns when all children are ready.
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
        started.await.unwrap_or(Err(StartError::Failed(ExitReason::NoProc)))?;
        Ok(tree)
    }

    /// Begins to start the tree, which can be stopped meanwhile.
    pub(crate) fn launch(self) -> (Tree, oneshot::Receiver<Result<(), StartError>>) {
        let (notices, incoming) = unbounded_channel();
        let env = Env::root(self.log.clone().unwrap_or_else(log::terminal));
        let (root, life) = (SupervisorRef::new(), Arc::clone(env.life()));
        // Nobody may follow any more.
        let notices = Notices::new(move |event| drop(notices.send(event)));
        let spec = root.child_spec("root", move |_| Ok(self.clone()));
        spec.starter.start(env, Notify::new(notices, Arc::clone(&life)));
        let (exited, exit) = watch::channel(None);
        let (begun, started) = oneshot::channel();
        actix_rt::spawn(follow(incoming, begun, exited));
        (Tree { root, life, exit }, started)
    }
}

/// Passes on what the root says: that it has started, or why not, and its end.
async fn follow(
    mut incoming: UnboundedReceiver<Event>,
    begun: oneshot::Sender<Result<(), StartError>>,
    exited: watch::Sender<Option<ExitReason>>,
) {
    // Nobody may be interested in any of this.
    let reason = match incoming.recv().await {
        Some(Event::Started(_)) => {
            let _ = begun.send(Ok(()));
            match incoming.recv().await {
                Some(Event::Exited(_, reason)) => reason,
                _ => ExitReason::NoProc,
            }
        }
        Some(Event::Ignored(_)) => {
            let _ = begun.send(Err(StartError::Ignore));
            ExitReason::Normal
        }
        Some(Event::Exited(_, reason)) => {
            let _ = begun.send(Err(StartError::Failed(reason.clone())));
            reason
        }
        _ => ExitReason::NoProc,
    };
    let _ = exited.send(Some(reason));
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
        tree::of(&Pid::of(&self.life)).await
    }

    /// The names of the tree.
    pub fn system(&self) -> &System {
        self.life.system()
    }

    /// Asks the tree to stop: the children in reverse order, each by its own rule.
    pub fn stop(&self) {
        self.life.stop();
    }

    /// Ends the tree at once, with everything in it.
    pub fn kill(&self) {
        self.life.kill();
    }

    /// Waits for the end of the tree, however often it is asked.
    pub async fn stopped(&self) -> ExitReason {
        let mut exit = self.exit.clone();
        let reason = exit.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reason.ok().flatten().unwrap_or(ExitReason::NoProc)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("exit", &self.exit.borrow()).finish_non_exhaustive()
    }
}
