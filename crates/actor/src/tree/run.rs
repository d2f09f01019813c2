//! A tree as the root of a program.

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

/// Exit code after a kill by a second signal.
const KILLED: u8 = 130;

/// Time from a second signal to a forced exit: an arbiter may be blocked, or a blocking task may not return.
const FORCED_EXIT_DELAY: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Runs the tree as this program's root, until it exits or a signal ends it.
    ///
    /// SIGTERM and SIGINT stop the tree in order; a second one kills it. A separate thread receives the
    /// signals, so they work while an arbiter is blocked. A program that has not exited 1 s after the second
    /// signal exits by force, without destructors. Exit code: 0 after an orderly stop, 130 after a second
    /// signal, 1 if the tree could not start or gave up; the log has the reason.
    pub fn run(self) -> ExitCode {
        let log = self.log.clone().unwrap_or_else(logger::terminal);
        let tree = self.logger(log.clone());
        let system = actix_rt::System::new();
        let outcome = system.block_on(async {
            // No actor of the tree has run when this returns.
            let (root, started) = tree.launch();
            // First: a process that sees the tree running may signal it.
            let signals = Signals::start(root.pid())?;
            let reason = run_until_stopped(&root, signals.received.clone(), &log).await;
            io::Result::Ok((signals, reason, started.await.ok().and_then(Result::err)))
        });
        // This waits for blocking tasks, while signals are still handled.
        drop(system);
        match outcome {
            Ok((signals, reason, not_started)) => exit_code(signals.join(), &reason, not_started, &log),
            Err(error) => {
                slog::crit!(log, "cannot start: signal handling failed: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Handles the signals until the tree has exited.
async fn run_until_stopped(root: &Tree, mut received: watch::Receiver<u8>, log: &Logger) -> ExitReason {
    loop {
        tokio::select! {
            reason = root.stopped() => return reason,
            // The thread holds the other end.
            Ok(()) = received.changed() => {}
        }
        match *received.borrow_and_update() {
            1 => slog::info!(log, "stopping; a second signal kills the tree"),
            _ => slog::warn!(log, "second signal: killing the tree"),
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
            slog::crit!(log, "exited: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The thread that receives and handles the signals. It does not log: a blocked log could be the reason of the
/// signal.
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
            // An error means that the receiver was dropped, so the thread was ready.
            let _ = ready.send(outcome);
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(work)?;
        is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("the signal thread has panicked")))?;
        Ok(Self { received, stop, thread })
    }

    /// The program is done; returns the number of signals.
    fn join(self) -> u8 {
        let Self { received, stop, thread } = self;
        drop(stop);
        // The thread runs no code that can panic.
        let _ = thread.join();
        *received.borrow()
    }
}

/// Receives signals until the program is done.
async fn handle_signals(
    root: &Pid,
    count: &watch::Sender<u8>,
    mut stop: oneshot::Receiver<()>,
    ready: &mpsc::Sender<io::Result<()>>,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // The receiver waits for this.
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
