//! An app: the function that its workers run, and its options.

use std::fmt;
use std::sync::Arc;

use impresario_process::BoxError;
use impresario_server::Protocol;

use crate::pool::Pool;
use crate::worker::{ServiceFactory, Worker, WorkerService};

/// Connections that are served by worker processes. A worker that crashes closes only its own connections.
///
/// The workers receive connections from a [`Router`](crate::Router), or accept them on addresses of their own
/// ([`listen`](Self::listen)). An app without either is refused by [`Main::run`](crate::Main::run).
#[must_use = "an app does nothing until it is given to Main"]
pub struct App {
    pub(crate) name: String,
    pub(crate) listen: Vec<String>,
    pub(crate) pool: Pool,
    pub(crate) service_factory: Arc<ServiceFactory>,
    pub(crate) max_connections: Option<usize>,
}

impl App {
    /// An app with a function that constructs the protocol. It runs once in each worker, before the worker is ready.
    pub fn new<P, F>(name: impl Into<String>, serve: F) -> Self
    where
        P: Protocol,
        F: Fn() -> P + Send + Sync + 'static,
    {
        Self::with_worker(name, move |_| Ok::<P, BoxError>(serve()))
    }

    /// As [`new`](Self::new), with a function that may fail, or that adds children to the supervisor of the worker.
    ///
    /// If the function fails, the worker has not started. At the first start, [`Main`](crate::Main) logs the error and
    /// exits. Later, the worker is restarted until the restart limit of the pool is reached.
    pub fn with_worker<P, E, F>(name: impl Into<String>, serve: F) -> Self
    where
        P: Protocol,
        E: Into<BoxError>,
        F: Fn(&mut Worker) -> Result<P, E> + Send + Sync + 'static,
    {
        let factory = move |mut worker: Worker, max_connections| {
            let protocol = serve(&mut worker).map_err(Into::into)?;
            Ok(WorkerService::new(protocol, worker, max_connections))
        };
        Self {
            name: name.into(),
            listen: Vec::new(),
            pool: Pool::fixed(1),
            service_factory: Arc::new(factory),
            max_connections: None,
        }
    }

    /// The workers of the app. Default: one.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Adds an address on which the workers accept, as nginx's do. Main keeps the listening socket, so no connect is
    /// refused while a worker restarts.
    ///
    /// `HOST:PORT`, where port 0 lets the kernel choose one, or `unix:PATH`. Main removes the socket file when it exits.
    pub fn listen(mut self, address: impl fmt::Display) -> Self {
        self.listen.push(address.to_string());
        self
    }

    /// Maximum number of connections per worker. The limit on open files is a second bound.
    ///
    /// Default: no limit but that one.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = Some(limit);
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("name", &self.name)
            .field("listen", &self.listen)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
