//! What a worker process runs: its context for user code, its service, and its tree of actors.
//!
//! It may not know apps, pools or main: it receives a function that constructs the service, and a number of connections.

mod hand_over;
mod process;

use std::sync::Arc;

use impresario_actor::ChildSpec;
use impresario_process::BoxError;
use impresario_server::{Accepted, ConnectionTracker, Connections, Protocol, RejectError};
use slog::Logger;

pub(crate) use self::process::WorkerProcess;
use crate::limits;

/// Constructs the service of a worker from its context and its maximum number of connections.
pub(crate) type ServiceFactory =
    dyn Fn(Worker, Option<usize>) -> Result<WorkerService, BoxError> + Send + Sync;

/// Starts the actor of a connection.
type StartConnection = dyn Fn(Accepted) -> Result<(), RejectError> + Send + Sync;

/// The worker process in which the function of an app runs.
#[derive(Debug)]
pub struct Worker {
    slot: u32,
    log: Logger,
    children: Vec<ChildSpec>,
}

impl Worker {
    /// The number of the worker in its app, from 0. A restart keeps the number.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The logger of this process.
    pub fn log(&self) -> &Logger {
        &self.log
    }

    /// Adds a child to the supervisor of the worker, such as a cache or a database pool.
    ///
    /// It is started before the first connection and stopped after the last one. If it fails, it is restarted together
    /// with all children after it, connections included (`rest_for_one` of OTP).
    pub fn child(&mut self, child: impl Into<ChildSpec>) {
        self.children.push(child.into());
    }
}

/// The service of a worker, with the type of its protocol erased.
pub(crate) struct WorkerService {
    /// The children that user code added.
    children: Vec<ChildSpec>,
    /// The supervisor of the connections.
    connections: ChildSpec,
    tracker: ConnectionTracker,
    start: Arc<StartConnection>,
}

impl WorkerService {
    pub(crate) fn new<P: Protocol>(protocol: P, worker: Worker, max_connections: Option<usize>) -> Self {
        let limit = max_connections.unwrap_or(usize::MAX).min(limits::max_connections());
        let connections = Connections::new(protocol).max_connections(limit);
        Self {
            children: worker.children,
            connections: connections.child_spec("connections"),
            tracker: connections.tracker().clone(),
            start: Arc::new(move |accepted| connections.start(accepted)),
        }
    }
}
