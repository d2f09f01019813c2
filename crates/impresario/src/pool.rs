//! The workers of an app: how many, and how they are restarted.

use std::time::Duration;

use impresario_actor::Intensity;
use impresario_process::PoolSpec;
use impresario_supervision::{Backoff, ChildRules, Flags, Shutdown};
use impresario_wire::Role;

/// Restarts per worker of a pool within [`RESTART_PERIOD`], by default.
pub const RESTARTS_PER_WORKER: u32 = 10;

/// The period of the default restart limits of processes.
pub const RESTART_PERIOD: Duration = Duration::from_secs(10);

/// Default start timeout of a process: from the fork to READY.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How many workers an app has, and how failed workers are restarted.
#[must_use = "a pool does nothing until it is given to an app"]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    size: u32,
    backoff: Backoff,
    intensity: Intensity,
    start_timeout: Duration,
}

impl Pool {
    /// A pool of constant size. 0 is taken as 1.
    pub fn fixed(workers: u32) -> Self {
        let size = workers.max(1);
        Self {
            size,
            backoff: Backoff::default(),
            intensity: Intensity::new(size.saturating_mul(RESTARTS_PER_WORKER), RESTART_PERIOD),
            start_timeout: START_TIMEOUT,
        }
    }

    /// The pool as `process` takes it.
    pub(crate) fn rules(&self, app: &str) -> PoolSpec {
        let worker = ChildRules {
            backoff: Some(self.backoff),
            start_timeout: Some(self.start_timeout),
            // The shutdown timeout of main is the only deadline of a shutdown.
            shutdown: Shutdown::Infinity,
            ..ChildRules::worker(format!("{app} {}", Role::Worker))
        };
        let flags = Flags { intensity: self.intensity, ..Flags::default() };
        PoolSpec { size: self.size, worker, flags }
    }

    /// Delay before a restart of a worker that keeps failing.
    ///
    /// Default: the first restart is immediate, the second waits 20 ms, then the delay doubles up to 500 ms. It is reset
    /// after 5 s without a failure.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Restart limit of all workers together.
    ///
    /// Default: [`RESTARTS_PER_WORKER`] for each worker within [`RESTART_PERIOD`]. Beyond it main restarts the app, which
    /// counts against the limit of main.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Start timeout of a worker. Default: [`START_TIMEOUT`].
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }
}
