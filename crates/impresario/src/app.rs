//! An app: what its workers do, and how many there are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use impresario_actor::{ChildSpec, Intensity};
use impresario_process::BoxError;
use impresario_server::Protocol;
use impresario_supervision::{Backoff, Flags, Shutdown};
use impresario_wire::Role;
use slog::Logger;

use crate::worker::{Service, Tree};

/// Connections served by worker processes. One that dies takes only its own connections with it.
///
/// The workers get their connections from a [`Router`](crate::Router), or accept them themselves with
/// [`listen`](Self::listen).
#[must_use = "an app does nothing until it is given to Main"]
pub struct App {
    pub(crate) name: String,
    pub(crate) listen: Vec<String>,
    pub(crate) pool: Pool,
    pub(crate) tree: Arc<Tree>,
    pub(crate) max_connections: Option<usize>,
}

impl App {
    /// An app whose function makes the protocol; it runs once in each worker, before the worker is ready.
    pub fn new<P, F>(name: impl Into<String>, serve: F) -> Self
    where
        P: Protocol,
        F: Fn() -> P + Send + Sync + 'static,
    {
        Self::with_worker(name, move |_| Ok::<P, BoxError>(serve()))
    }

    /// The same for a function that may fail, or that adds children of its own to the worker's supervisor.
    ///
    /// A worker whose function fails has not started. If that happens at the first start, [`Main`](crate::Main) says
    /// why and ends; later, the worker is started again until the pool's limit is reached.
    pub fn with_worker<P, E, F>(name: impl Into<String>, serve: F) -> Self
    where
        P: Protocol,
        E: Into<BoxError>,
        F: Fn(&mut Worker) -> Result<P, E> + Send + Sync + 'static,
    {
        let tree = move |mut worker: Worker, max_connections| {
            let protocol = serve(&mut worker).map_err(Into::into)?;
            Ok(Service::new(protocol, worker.children, max_connections))
        };
        Self {
            name: name.into(),
            listen: Vec::new(),
            pool: Pool::fixed(1),
            tree: Arc::new(tree),
            max_connections: None,
        }
    }

    /// How many workers there are. The default is one.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = pool;
        self
    }

    /// Lets the workers accept on this address themselves, as nginx's do. Main keeps the listening socket, so a
    /// worker that dies never costs a refused connection.
    ///
    /// It is `HOST:PORT`, where port 0 lets the kernel choose one, or `unix:PATH`, whose file main removes at its end.
    pub fn listen(mut self, address: impl fmt::Display) -> Self {
        self.listen.push(address.to_string());
        self
    }

    /// How many connections each worker serves at a time. The default is no limit but that of its descriptors.
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

/// How many workers an app has, and what is done about those that fail.
#[must_use = "a pool does nothing until it is given to an app"]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    pub(crate) size: u32,
    pub(crate) backoff: Backoff,
    pub(crate) intensity: Intensity,
    pub(crate) start_timeout: Duration,
}

/// How many restarts each worker of a pool may have within [`RESTART_PERIOD`], by default.
pub const RESTARTS_PER_WORKER: u32 = 10;

/// The window of the default restart limits of processes.
pub const RESTART_PERIOD: Duration = Duration::from_secs(10);

/// How long a process may take to be ready, by default.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Pool {
    /// Always this many workers; at least one.
    pub fn fixed(workers: u32) -> Self {
        let size = workers.max(1);
        Self {
            size,
            backoff: Backoff::default(),
            intensity: Intensity::new(size.saturating_mul(RESTARTS_PER_WORKER), RESTART_PERIOD),
            start_timeout: START_TIMEOUT,
        }
    }

    /// The pool in the words of its rules.
    pub(crate) fn rules(&self, app: &str) -> impresario_process::PoolSpec {
        let worker = impresario_supervision::ChildRules {
            backoff: Some(self.backoff),
            start_timeout: Some(self.start_timeout),
            // Main's shutdown time-out is the one deadline.
            shutdown: Shutdown::Infinity,
            ..impresario_supervision::ChildRules::worker(format!("{app} {}", Role::Worker))
        };
        let flags = Flags { intensity: self.intensity, ..Flags::default() };
        impresario_process::PoolSpec { size: self.size, worker, flags }
    }

    /// How long restarts of a worker wait when it keeps failing. The default is at once, then 20 ms, doubled up to
    /// 500 ms, forgiven after 5 s of health.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many restarts of all workers together are too many. The default is 10 for each worker within 10 s. Beyond
    /// it the app as a whole is started again, which counts in main.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// How long a worker may take to be ready. The default is 60 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }
}

/// The worker process that an app's function runs in.
#[derive(Debug)]
pub struct Worker {
    pub(crate) slot: u32,
    pub(crate) log: Logger,
    pub(crate) children: Vec<ChildSpec>,
}

impl Worker {
    /// Which of the app's workers it is, from 0; its replacement will have the same.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The logger of this process.
    pub fn log(&self) -> &Logger {
        &self.log
    }

    /// Adds a child to the worker's supervisor: a cache, a pool, whatever connections need. It is started before the
    /// first connection comes, and stopped after the last one has ended. If it fails, it and what was started after it
    /// are restarted, connections included.
    pub fn child(&mut self, child: impl Into<ChildSpec>) {
        self.children.push(child.into());
    }
}
