//! A watchdog: notices an arbiter that stands still, because something on it does not return.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::turns::{Turn, Turns};
use crate::{Pid, Registry};

/// How often within its limit an arbiter is looked at.
const LOOKS: u32 = 4;

/// Watches the arbiters of a tree from a thread of its own, until it is dropped.
///
/// An actor that never returns from a handler holds its arbiter and everybody on it; nothing inside of the process can end
/// it. So that is to be seen, and what to do about it is for an operator, or for whoever watches the process.
#[must_use = "it watches until it is dropped"]
#[derive(Debug)]
pub struct Watchdog {
    system: Registry,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An arbiter stands still.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The name of its thread.
    pub arbiter: String,
    /// Who holds it; `None` if that is no actor of this tree.
    pub blocked_by: Option<Pid>,
    /// The type of that actor.
    pub actor: Option<&'static str>,
    /// For how long, up to now.
    pub duration: Duration,
    /// Whether it is over.
    pub over: bool,
}

impl Watchdog {
    /// Watches all arbiters on which actors of this tree live. One that does nothing for `limit` (though asked to) is
    /// reported once, with whoever holds it then, and once more when that is over.
    ///
    /// The report is made on the watchdog's thread. What is watched pays for it: a lock, taken by nobody else, for each
    /// turn of an actor, and four times within `limit` an idle arbiter is woken.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use impresario_actor::{Tree, Watchdog};
    /// # fn example(tree: &Tree, log: slog::Logger) -> std::io::Result<()> {
    /// let report = move |stall: &_| slog::warn!(log, "{stall}");
    /// let watchdog = Watchdog::start(tree.system(), Duration::from_secs(1), report)?;
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
        let between = (limit / LOOKS).max(Duration::from_millis(1));
        let watch = move || {
            let mut beats: HashMap<usize, Beat> = HashMap::new();
            while stopped.recv_timeout(between) == Err(RecvTimeoutError::Timeout) {
                let all = watched.arbiters().all();
                beats.retain(|key, _| all.iter().any(|turns| key_of(turns) == *key));
                for turns in all {
                    let beat = beats.entry(key_of(&turns)).or_insert_with(|| Beat::ask(&turns));
                    if let Some(stall) = beat.look(&turns, limit) {
                        report(&stall);
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        system.arbiters().watch();
        Ok(Self { system: system.clone(), stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.system.arbiters().unwatch();
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the report was said when it happened.
            let _ = thread.join();
        }
    }
}

/// The same arbiter, while something holds on to it.
fn key_of(turns: &Arc<Turns>) -> usize {
    Arc::as_ptr(turns).addr()
}

/// What an arbiter is asked to do, to show that it still does something.
struct Beat {
    asked: Instant,
    /// How often it has been looked at since. If the watchdog did not run either, the time says nothing.
    looks: u32,
    done: Arc<AtomicBool>,
    /// Who held it when it was reported.
    reported: Option<Option<Turn>>,
}

impl Beat {
    fn ask(turns: &Turns) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        // An arbiter that is gone does not stand still: it drops this, whether it was asked before that or after.
        let show = Show(Arc::clone(&done));
        if let Some(arbiter) = &turns.arbiter {
            arbiter.spawn_fn(move || drop(show));
        }
        Self { asked: Instant::now(), looks: 0, done, reported: None }
    }

    fn look(&mut self, turns: &Turns, limit: Duration) -> Option<Stall> {
        let duration = self.asked.elapsed();
        if self.done.load(Ordering::Acquire) {
            let reported = self.reported.take();
            *self = Self::ask(turns);
            return reported.map(|held_by| stall(turns, held_by, duration, true));
        }
        self.looks += 1;
        if duration < limit || self.looks < LOOKS || self.reported.is_some() {
            return None;
        }
        let blocked_by = turns.turn();
        self.reported = Some(blocked_by.clone());
        Some(stall(turns, blocked_by, duration, false))
    }
}

/// Shows, when it is dropped, that the arbiter still does something, or is gone.
struct Show(Arc<AtomicBool>);

impl Drop for Show {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn stall(turns: &Turns, held_by: Option<Turn>, duration: Duration, over: bool) -> Stall {
    let arbiter = turns.name.clone().unwrap_or_else(|| "unnamed".to_owned());
    let actor = held_by.as_ref().map(|turn| turn.actor);
    Stall { arbiter, blocked_by: held_by.map(|turn| turn.pid), actor, duration, over }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.over { "stood" } else { "stands" };
        write!(f, "arbiter {} {verb} still for {:?}, held by ", self.arbiter, self.duration)?;
        match (&self.blocked_by, self.actor) {
            (Some(pid), Some(actor)) => write!(f, "{pid}, a {actor}"),
            _ => f.write_str("what is no actor of this tree"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::Arbiters;

    #[test]
    fn time_in_which_the_watchdog_did_not_run_is_no_stall() {
        let (turns, limit) = (Arbiters::default().here(), Duration::from_millis(1));
        let asked = Instant::now();
        while asked.elapsed() <= limit {
            thread::yield_now();
        }
        // It was asked long ago, and nobody has looked since.
        let mut beat = Beat { asked, looks: 0, done: Arc::default(), reported: None };
        for _ in 1..LOOKS {
            assert!(beat.look(&turns, limit).is_none());
        }
        assert!(beat.look(&turns, limit).is_some_and(|stall| !stall.over));
        assert!(beat.look(&turns, limit).is_none(), "once");
        beat.done.store(true, Ordering::Release);
        assert!(beat.look(&turns, limit).is_some_and(|stall| stall.over));
    }
}
