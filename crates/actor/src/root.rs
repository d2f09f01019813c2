//! The root of a tree, seen from outside.

use std::fmt;
use std::sync::Arc;

use impresario_supervision::{Event, ExitReason, Incarnation};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

use crate::control::Control;
use crate::notify::Notify;
use crate::{Env, StartError, Supervisor, SupervisorRef, log};

/// A running tree. Dropping it changes nothing; the tree lives on its own.
#[derive(Clone)]
pub struct Tree {
    root: SupervisorRef,
    control: Arc<Control>,
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
        let log = self.log.clone().unwrap_or_else(log::terminal);
        let (notices, mut incoming) = unbounded_channel();
        let notify = Notify::new(notices, Incarnation::ROOT);
        let root = SupervisorRef::new();
        let spec = root.child_spec("root", move |_| Ok(self.clone()));
        let env = Env::root(log);
        let control = Arc::clone(env.control());
        spec.starter.start(env, notify);
        match incoming.recv().await {
            Some(Event::Started(_)) => {}
            Some(Event::Exited(_, reason)) => return Err(StartError::Failed(reason)),
            Some(Event::Ignored(_)) => return Err(StartError::Ignore),
            _ => return Err(StartError::Failed(ExitReason::NoProc)),
        }
        let (exited, exit) = watch::channel(None);
        actix_rt::spawn(async move {
            let reason = match incoming.recv().await {
                Some(Event::Exited(_, reason)) => reason,
                _ => ExitReason::NoProc,
            };
            // Nobody may be interested.
            let _ = exited.send(Some(reason));
        });
        Ok(Tree { root, control, exit })
    }
}

impl Tree {
    /// The supervisor at the root, to be asked for things.
    pub fn root(&self) -> &SupervisorRef {
        &self.root
    }

    /// Asks the tree to stop: the children in reverse order, each by its own rule.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Ends the tree at once, with everything in it.
    pub fn kill(&self) {
        self.control.kill();
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
