//! A tree as a whole program.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use impresario_supervision::ExitReason;
use slog::Logger;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::cell::Pid;
use crate::child::start_error::StartError;
use crate::logger;
use crate::supervisor::Supervisor;
use crate::tree::Tree;

/// The program ended because it was killed by a second signal.
const KILLED: u8 = 130;

/// How long the program has to end after a second signal, until it is ended by force: its arbiter may stand still, or a
/// blocking task may not come back.
const FORCED_EXIT_DELAY: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Runs the tree as this program's root, until it ends or a signal ends it.
    ///
    /// SIGTERM and SIGINT stop the tree in order; a second one ends it at once. They are heard on a thread of their own, so
    /// also while an arbiter stands still: a program that has not ended 1 s after the second one is ended by force,
    /// without any destructors. The exit code is 0 after an orderly stop, 130 after a second signal, and 1 if the tree could
    /// not start or gave up; the log says why.
    pub fn run(self) -> ExitCode {
        let log = self.log.clone().unwrap_or_else(logger::terminal);
        let tree = self.logger(log.clone());
        let system = actix_rt::System::new();
        let outcome = system.block_on(async {
            // Nothing of the tree has run when this returns.
            let (root, started) = tree.launch();
            // Before anything else: whoever sees that the tree runs may tell it to end.
            let signals = Signals::start(root.pid())?;
            let reason = run_until_stopped(&root, signals.received.clone(), &log).await;
            io::Result::Ok((signals, reason, started.await.ok().and_then(Result::err)))
        });
        // Blocking tasks are waited for here, and signals are still heard.
        drop(system);
        match outcome {
            Ok((signals, reason, not_started)) => exit_code(signals.join(), &reason, not_started, &log),
            Err(error) => {
                slog::crit!(log, "cannot start: signals cannot be waited for: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Says what the signals do, until the tree has ended.
async fn run_until_stopped(root: &Tree, mut received: watch::Receiver<u8>, log: &Logger) -> ExitReason {
    loop {
        tokio::select! {
            reason = root.stopped() => return reason,
            // Its other end lives as long as the thread.
            Ok(()) = received.changed() => {}
        }
        match *received.borrow_and_update() {
            1 => slog::info!(log, "stopping; a second signal ends it at once"),
            _ => slog::warn!(log, "second signal: ending at once"),
        }
    }
}

fn exit_code(signals: u8, reason: &ExitReason, not_started: Option<StartError>, log: &Logger) -> ExitCode {
    match (reason, not_started) {
        (ExitReason::Killed, _) if signals > 1 => ExitCode::from(KILLED),
        (ExitReason::Normal | ExitReason::Shutdown, _) => ExitCode::SUCCESS,
        (_, Some(error)) => {
            slog::crit!(log, "cannot start: {error}");
            ExitCode::FAILURE
        }
        (reason, None) => {
            slog::crit!(log, "ended: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// A thread that hears the signals and acts on them. It logs nothing: the log may be what everybody waits for.
struct Signals {
    received: watch::Receiver<u8>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Signals {
    fn start(root: Pid) -> io::Result<Self> {
        let (count, received) = watch::channel(0);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let work = move || {
            let outcome = Builder::new_current_thread().enable_io().enable_time().build();
            let outcome =
                outcome.and_then(|runtime| runtime.block_on(handle_signals(&root, &count, stopped, &ready)));
            // If nobody waits any more, it was ready.
            let _ = ready.send(outcome);
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(work)?;
        is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("their thread has panicked")))?;
        Ok(Self { received, stop, thread })
    }

    /// The program is over; how many signals there were.
    fn join(self) -> u8 {
        let Self { received, stop, thread } = self;
        drop(stop);
        // It does nothing that could panic.
        let _ = thread.join();
        *received.borrow()
    }
}

/// Hears signals until the program is over.
async fn handle_signals(
    root: &Pid,
    count: &watch::Sender<u8>,
    mut stop: oneshot::Receiver<()>,
    ready: &mpsc::Sender<io::Result<()>>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Somebody waits for this.
    let _ = ready.send(Ok(()));
    for number in [1, 2] {
        tokio::select! {
            _ = &mut stop => return Ok(()),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        match number {
            1 => root.cell().stop(),
            _ => root.kill(),
        }
        count.send_replace(number);
    }
    if timeout(FORCED_EXIT_DELAY, stop).await.is_err() {
        exit();
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what runs a tree is a whole program, no forked child")]
fn exit() -> ! {
    std::process::exit(i32::from(KILLED))
}
