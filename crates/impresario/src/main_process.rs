//! The program: apps and routers under one small main process.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use impresario_process::{ProcessIdentity, ProcessLogger, RunError, SHUTDOWN_TIMEOUT};
use impresario_server::{ListenError, ListenSocket};
use impresario_supervision::{Backoff, ChildRules, Flags, Intensity};
use impresario_wire::Role;

use crate::app::{App, RESTART_PERIOD, START_TIMEOUT};
use crate::log;
use crate::router::{Router, RouterLeaf};
use crate::worker::WorkerLeaf;

/// How many restarts of its children main allows within [`RESTART_PERIOD`].
pub const MAX_RESTARTS: u32 = 20;

/// A tree of processes: main, which cannot be taken down by what it runs, and below it a prototype with workers for
/// each app, and perhaps a router.
///
/// Main binds every address before it starts anything, and keeps the listening sockets: whatever else dies, nobody is
/// refused. `TERM` and `INT` drain until the shutdown time-out and kill what is left; a second one kills at once;
/// `QUIT` drains without a deadline.
#[must_use = "main does nothing until it is run"]
pub struct Main {
    apps: Vec<App>,
    routers: Vec<Router>,
    logging: Box<MakeLogging>,
    shutdown_timeout: Duration,
    intensity: Intensity,
}

type MakeLogging = dyn Fn(&ProcessIdentity) -> ProcessLogger + Send + Sync;

/// Why a tree cannot even begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MainError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A router leads to an app that there is not.
    #[error("the router of {address} leads to the app {app:?}, which there is not; add it to main")]
    NoApp {
        /// Where the router listens.
        address: String,
        /// The app it names.
        app: String,
    },
    /// A router leads nowhere.
    #[error("the router of {address} leads to no app; say which with Router::to")]
    NoRoute {
        /// Where the router listens.
        address: String,
    },
    /// There is more than one router.
    #[error("there are {routers} routers; one main has one router")]
    Routers {
        /// How many there are.
        routers: usize,
    },
    /// The tree cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Main {
    /// Main without anything below it.
    pub fn new() -> Self {
        Self {
            apps: Vec::new(),
            routers: Vec::new(),
            logging: Box::new(log::terminal),
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            intensity: Intensity::new(MAX_RESTARTS, RESTART_PERIOD),
        }
    }

    /// Adds an app. Apps are started in this order, before the router.
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Adds the router.
    pub fn router(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }

    /// Makes the logger of each process, after its birth. The default is [`log::terminal`].
    ///
    /// Those of main and of prototypes must write by themselves, without a thread.
    pub fn logger<L>(mut self, logger: impl Fn(&ProcessIdentity) -> L + Send + Sync + 'static) -> Self
    where
        L: Into<ProcessLogger>,
    {
        self.logging = Box::new(move |identity| logger(identity).into());
        self
    }

    /// How long a shutdown may take before what is left is killed. The default is 10 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// How many restarts of apps and router together are too many. The default is 20 within 10 s.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Runs until a signal ends it or it gives up. Nothing of the tree is left when it returns.
    ///
    /// The exit code is 0 after a shutdown in time; 1 if it could not begin, gave up, or had to kill what did not
    /// leave; 2 if a process must not be started again; 3 if a first start failed. The log says why.
    ///
    /// Call it first in `main()`: a process with threads cannot fork.
    pub fn run(self) -> ExitCode {
        let own = (self.logging)(&ProcessIdentity::main());
        let log = own.log.clone();
        match self.begin(own) {
            Ok(code) => code,
            Err(error) => {
                slog::crit!(log, "cannot start: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn begin(self, own: ProcessLogger) -> Result<ExitCode, MainError> {
        self.check()?;
        let logging = self.logging;
        let mut main = impresario_process::Main::new(move |identity: &ProcessIdentity| logging(identity))
            .log(own)
            .flags(Flags { intensity: self.intensity, ..Flags::default() })
            .shutdown_timeout(self.shutdown_timeout);
        let mut addresses = Vec::new();
        // Main made them, so it removes them: when nothing of the tree is left, or when it cannot begin.
        let mut files = Vec::new();
        let mut bind = |mut main: impresario_process::Main, names: &[String]| {
            let mut bound = Vec::new();
            for name in names {
                let mut socket = ListenSocket::bind(name)?;
                addresses.push(socket.local_addr().clone());
                files.extend(socket.take_file());
                bound.push(name.clone());
                main = main.listener(name.clone(), socket);
            }
            Ok::<_, ListenError>((main, bound))
        };
        for app in self.apps {
            let routed = self.routers.iter().any(|router| router.app.as_ref() == Some(&app.name));
            let listeners;
            (main, listeners) = bind(main, &app.listen)?;
            let App { name, pool, tree, max_connections, .. } = app;
            let leaf = WorkerLeaf { listeners, routed, tree, max_connections };
            main = main.prototype(prototype_spec(&name), pool.rules(&name), leaf);
        }
        for router in self.routers {
            let listeners;
            (main, listeners) = bind(main, &router.listen)?;
            main = main.process(router_spec(), RouterLeaf { listeners });
        }
        let ready = move |log: &slog::Logger| {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            slog::info!(log, "ready"; "address" => addresses.join(" "));
        };
        Ok(main.on_ready(ready).run()?.into())
    }

    fn check(&self) -> Result<(), MainError> {
        if self.routers.len() > 1 {
            return Err(MainError::Routers { routers: self.routers.len() });
        }
        for router in &self.routers {
            let address = router.listen.join(" ");
            match &router.app {
                None => return Err(MainError::NoRoute { address }),
                Some(app) if !self.apps.iter().any(|other| other.name == *app) => {
                    return Err(MainError::NoApp { address, app: app.clone() });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Default for Main {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Main {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Main")
            .field("apps", &self.apps)
            .field("routers", &self.routers)
            .finish_non_exhaustive()
    }
}

fn prototype_spec(app: &str) -> ChildRules {
    ChildRules {
        backoff: Some(Backoff::default()),
        start_timeout: Some(START_TIMEOUT),
        ..ChildRules::supervisor(app)
    }
}

/// The longest wait before a router is started again. Shorter than others: everybody waits for it.
const ROUTER_BACKOFF: Duration = Duration::from_millis(50);

fn router_spec() -> ChildRules {
    let backoff = Backoff { max: ROUTER_BACKOFF, ..Backoff::default() };
    // Main's shutdown time-out is the one deadline, so it has none of its own, just as a prototype.
    ChildRules { backoff: Some(backoff), ..prototype_spec(Role::Router.name()) }
}
