//! The start of a tree, for a program that embeds it.

use std::sync::Arc;

use impresario_supervision::{Event, ExitReason};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

use crate::child::events::EventSender;
use crate::child::exit_guard::ExitGuard;
use crate::child::start_error::StartError;
use crate::context::ChildContext;
use crate::logger;
use crate::supervisor::Supervisor;
use crate::supervisor::supervisor_ref::SupervisorRef;
use crate::tree::Tree;

impl Supervisor {
    /// Starts the tree on this arbiter, for a program that embeds it. Returns when all children are ready.
    /// Dropping the future before, for instance by a timeout, kills the tree.
    ///
    /// # Errors
    ///
    /// The reason of the failed first start; no actor is left running then.
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

    /// Starts the tree; it can be stopped before it is ready.
    pub(crate) fn launch(self) -> (Tree, oneshot::Receiver<Result<(), StartError>>) {
        let (events, mut incoming) = unbounded_channel();
        let env = ChildContext::root(self.log.clone().unwrap_or_else(logger::terminal));
        let (root, cell) = (SupervisorRef::new(), Arc::clone(env.cell()));
        let registry = env.registry().clone();
        // An error means that the first event was received. The later ones are not needed.
        let events = EventSender::new(registry.clone(), move |event, _| drop(events.send(event)));
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
            // An error means that the caller dropped its future. Nothing is left to do.
            let _ = result.send(outcome);
        });
        (Tree { root, cell, registry }, started)
    }
}

/// Kills a tree when it is dropped: the caller of `start` has no handle yet.
struct KillOnDrop<'a>(&'a Tree);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.0.kill();
    }
}
