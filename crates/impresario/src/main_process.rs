//! The main process: apps and a router below it.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use impresario_process::{ProcessIdentity, ProcessLogger, RunError, SHUTDOWN_TIMEOUT};
use impresario_server::{ListenError, ListenSocket};
use impresario_supervision::{Backoff, ChildRules, Flags, Intensity};
use impresario_wire::Role;

use crate::app::App;
use crate::log;
use crate::pool::{RESTART_PERIOD, START_TIMEOUT};
use crate::router::{Router, RouterProcess};
use crate::worker::WorkerProcess;

/// Restarts of its children that main allows within [`RESTART_PERIOD`], by default.
pub const MAX_RESTARTS: u32 = 20;

/// A tree of processes: main, below it a prototype with workers for each app, and optionally a router.
///
/// Main binds every address before it forks, and keeps the listening sockets. So no connect is refused while a router or
/// worker restarts.
///
/// Signals, as nginx has them: `TERM` and `INT` drain until the shutdown timeout, then kill what is left; a second one kills
/// immediately. `QUIT` drains without a deadline.
#[must_use = "main does nothing until it is run"]
pub struct Main {
    apps: Vec<App>,
    routers: Vec<Router>,
    logging: Box<MakeLogging>,
    shutdown_timeout: Duration,
    intensity: Intensity,
}

type MakeLogging = dyn Fn(&ProcessIdentity) -> ProcessLogger + Send + Sync;

/// An error before the first fork.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MainError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// An app has neither an address nor a router, so it would serve nothing.
    #[error(
        "the app {app:?} has no address and no router; add App::listen, or a router with Router::to({app:?})"
    )]
    NotReachable {
        /// The name of the app.
        app: String,
    },
    /// A router names an app that was not added.
    #[error("the router on {address} names the app {app:?}, which does not exist; add it with Main::app")]
    NoApp {
        /// Where the router listens.
        address: String,
        /// The app it names.
        app: String,
    },
    /// A router names no app.
    #[error("the router on {address} names no app; name one with Router::to")]
    NoRoute {
        /// Where the router listens.
        address: String,
    },
    /// There is more than one router.
    #[error("there are {routers} routers; add at most one to main")]
    Routers {
        /// How many there are.
        routers: usize,
    },
    /// The tree cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Main {
    /// Main without apps and router.
    pub fn new() -> Self {
        Self {
            apps: Vec::new(),
            routers: Vec::new(),
            logging: Box::new(log::terminal),
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            intensity: Intensity::new(MAX_RESTARTS, RESTART_PERIOD),
        }
    }

    /// Adds an app. Apps are started in the order of these calls, before the router.
    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// Adds the router. At most one.
    pub fn router(mut self, router: Router) -> Self {
        self.routers.push(router);
        self
    }

    /// Sets the function that constructs the logger of each process, after the fork.
    ///
    /// Default: [`log::terminal`]. The loggers of main and prototypes must not start a thread: a process with threads cannot
    /// fork.
    pub fn logger<L>(mut self, logger: impl Fn(&ProcessIdentity) -> L + Send + Sync + 'static) -> Self
    where
        L: Into<ProcessLogger>,
    {
        self.logging = Box::new(move |identity| logger(identity).into());
        self
    }

    /// How long a shutdown may take before the remaining processes are killed. Default: 10 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// Restart limit of prototypes and router together. Default: [`MAX_RESTARTS`] within [`RESTART_PERIOD`].
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Runs the tree until a signal or the restart limit ends it. When it returns, all processes have exited.
    ///
    /// Exit codes; the log has the reason:
    ///
    /// * 0: shutdown within the timeout.
    /// * 1: main cannot start, the restart limit is reached, or processes were killed at the shutdown timeout.
    /// * 2: a process has exited with a code that forbids its restart.
    /// * 3: a first start failed.
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
        // Socket files. Dropped, and so removed, when this function returns: after the tree, or on an error.
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
            let App { name, pool, service_factory, max_connections, .. } = app;
            let worker = WorkerProcess { listeners, routed, service_factory, max_connections };
            main = main.prototype(prototype_spec(&name), pool.rules(&name), worker);
        }
        for router in self.routers {
            let listeners;
            (main, listeners) = bind(main, &router.listen)?;
            main = main.process(router_spec(), RouterProcess { listeners });
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
        for App { name, listen, .. } in &self.apps {
            let routed = self.routers.iter().any(|router| router.app.as_ref() == Some(name));
            if listen.is_empty() && !routed {
                return Err(MainError::NotReachable { app: name.clone() });
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

/// Maximum delay before a restart of the router. Shorter than the default, because connections of all clients wait for it.
const ROUTER_BACKOFF: Duration = Duration::from_millis(50);

fn router_spec() -> ChildRules {
    let backoff = Backoff { max: ROUTER_BACKOFF, ..Backoff::default() };
    // As a prototype: the shutdown timeout of main is the only deadline of its shutdown.
    ChildRules { backoff: Some(backoff), ..prototype_spec(Role::Router.name()) }
}

#[cfg(test)]
mod tests {
    use impresario_server::{Socket, serve};

    use super::*;

    fn app(name: &str) -> App {
        App::new(name, || serve(async |_: Socket| Ok(())))
    }

    #[test]
    fn an_app_without_address_or_router_is_refused() {
        let router = Router::listen("127.0.0.1:0").to("routed");
        let main = Main::new().app(app("routed")).app(app("listens").listen("127.0.0.1:0")).router(router);
        assert!(main.check().is_ok());
        let error = main.app(app("lost")).check().unwrap_err().to_string();
        assert!(error.contains("\"lost\"") && error.contains("App::listen"), "{error}");
    }
}
