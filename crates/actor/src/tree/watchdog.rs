//! A watchdog: detects an arbiter that is blocked by an actor.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cell::Pid;
use crate::registry::Registry;
use crate::registry::arbiters::{ArbiterState, CurrentActor};

/// Number of checks of an arbiter within its limit.
const CHECKS_PER_LIMIT: u32 = 4;

/// Checks the arbiters of a tree from a thread of its own, until it is dropped.
///
/// An actor that does not return from a handler blocks its arbiter and every actor on it; no code of the same
/// process can end it. The report names the actor, so that an operator or the parent process can act.
#[must_use = "it watches until it is dropped"]
#[derive(Debug)]
pub struct Watchdog {
    system: Registry,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A blocked arbiter.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The name of its thread.
    pub arbiter: String,
    /// The actor that blocks it; `None` if it is not an actor of this tree.
    pub blocked_by: Option<Pid>,
    /// The type of that actor.
    pub actor: Option<&'static str>,
    /// Duration so far.
    pub duration: Duration,
    /// Whether the stall has ended.
    pub over: bool,
}

impl Watchdog {
    /// Checks all arbiters on which actors of this tree run. An arbiter that does not respond for `limit` is
    /// reported once, with the actor that blocks it, and once more when it responds.
    ///
    /// The report is called on the watchdog's thread. Cost: an uncontended lock for each poll of an actor, and
    /// four wake-ups of each idle arbiter within `limit`.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use impresario_actor::{Tree, Watchdog};
    /// # fn example(tree: &Tree, log: slog::Logger) -> std::io::Result<()> {
    /// let report = move |stall: &_| slog::warn!(log, "{stall}");
    /// let watchdog = Watchdog::start(tree.registry(), Duration::from_secs(1), report)?;
    /// # drop(watchdog);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(
        system: &Registry,
        limit: Duration,
        mut report: impl FnMut(&Stall) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let watched = system.clone();
        let between = (limit / CHECKS_PER_LIMIT).max(Duration::from_millis(1));
        let watch = move || {
            let mut heartbeats: HashMap<usize, Heartbeat> = HashMap::new();
            while stopped.recv_timeout(between) == Err(RecvTimeoutError::Timeout) {
                let all = watched.arbiters().all();
                heartbeats.retain(|key, _| all.iter().any(|arbiter| key_of(arbiter) == *key));
                for arbiter in all {
                    let heartbeat =
                        heartbeats.entry(key_of(&arbiter)).or_insert_with(|| Heartbeat::send(&arbiter));
                    if let Some(stall) = heartbeat.check(&arbiter, limit) {
                        report(&stall);
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        system.arbiters().add_watcher();
        Ok(Self { system: system.clone(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.system.arbiters().remove_watcher();
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the report has been printed by the panic hook.
            let _ = thread.join();
        }
    }
}

/// The last check of an arbiter.
fn key_of(arbiter: &Arc<ArbiterState>) -> usize {
    Arc::as_ptr(arbiter).addr()
}

/// A request to an arbiter to show that it responds.
struct Heartbeat {
    sent: Instant,
    /// Number of checks since the request. If the watchdog itself did not run, the elapsed time means nothing.
    checks: u32,
    done: Arc<AtomicBool>,
    /// The actor in the report.
    reported: Option<Option<CurrentActor>>,
}

impl Heartbeat {
    fn send(arbiter: &ArbiterState) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        // An arbiter that has ended is not blocked: it drops this, before or after the request.
        let done_on_drop = SetOnDrop(Arc::clone(&done));
        if let Some(arbiter) = &arbiter.arbiter {
            arbiter.spawn_fn(move || drop(done_on_drop));
        }
        Self { sent: Instant::now(), checks: 0, done, reported: None }
    }

    fn check(&mut self, arbiter: &ArbiterState, limit: Duration) -> Option<Stall> {
        let duration = self.sent.elapsed();
        if self.done.load(Ordering::Acquire) {
            let reported = self.reported.take();
            *self = Self::send(arbiter);
            return reported.map(|blocked_by| stall(arbiter, blocked_by, duration, true));
        }
        self.checks += 1;
        if duration < limit || self.checks < CHECKS_PER_LIMIT || self.reported.is_some() {
            return None;
        }
        let blocked_by = arbiter.current_actor();
        self.reported = Some(blocked_by.clone());
        Some(stall(arbiter, blocked_by, duration, false))
    }
}

/// Its destructor records that the arbiter responds or has ended.
struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn stall(arbiter: &ArbiterState, blocked_by: Option<CurrentActor>, duration: Duration, over: bool) -> Stall {
    let arbiter = arbiter.name.clone().unwrap_or_else(|| "unnamed".to_owned());
    let actor = blocked_by.as_ref().map(|current| current.actor);
    Stall { arbiter, blocked_by: blocked_by.map(|current| current.pid), actor, duration, over }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.over { "was" } else { "is" };
        write!(f, "arbiter {} {verb} blocked for {:?} by ", self.arbiter, self.duration)?;
        match (&self.blocked_by, self.actor) {
            (Some(pid), Some(actor)) => write!(f, "{pid}, a {actor}"),
            _ => f.write_str("code that is not an actor of this tree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::arbiters::Arbiters;

    #[test]
    fn time_in_which_the_watchdog_did_not_run_is_no_stall() {
        let (arbiter, limit) = (Arbiters::default().current(), Duration::from_millis(1));
        let sent = Instant::now();
        while sent.elapsed() <= limit {
            thread::yield_now();
        }
        // The request is old, and there was no check since.
        let mut heartbeat = Heartbeat { sent, checks: 0, done: Arc::default(), reported: None };
        for _ in 1..CHECKS_PER_LIMIT {
            assert!(heartbeat.check(&arbiter, limit).is_none());
        }
        assert!(heartbeat.check(&arbiter, limit).is_some_and(|stall| !stall.over));
        assert!(heartbeat.check(&arbiter, limit).is_none(), "once");
        heartbeat.done.store(true, Ordering::Release);
        assert!(heartbeat.check(&arbiter, limit).is_some_and(|stall| stall.over));
    }
}
