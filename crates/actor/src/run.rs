//! A tree as a whole program.

use std::process::ExitCode;

use impresario_supervision::ExitReason;
use slog::Logger;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Supervisor, log};

/// The program ended because it was killed by a second signal.
const KILLED: u8 = 130;

impl Supervisor {
    /// Runs the tree as this program's root, until it ends or a signal ends it.
    ///
    /// SIGTERM and SIGINT stop the tree in order; a second one ends it at once. The exit code is 0 after an orderly
    /// stop, 130 after a second signal, and 1 if the tree could not start or gave up; the log says why.
    pub fn run(self) -> ExitCode {
        let log = self.log.clone().unwrap_or_else(log::terminal);
        let tree = self.logger(log.clone());
        actix_rt::System::new().block_on(async {
            // Before anything else: whoever sees that the tree runs may tell it to end.
            let signals =
                signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
            match signals {
                Ok((terminate, interrupt)) => run(tree, terminate, interrupt, &log).await,
                Err(error) => {
                    slog::crit!(log, "cannot start: signals cannot be waited for: {error}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

async fn run(tree: Supervisor, mut terminate: Signal, mut interrupt: Signal, log: &Logger) -> ExitCode {
    let (root, started) = tree.launch();
    let mut signals = 0;
    let reason = loop {
        tokio::select! {
            reason = root.stopped() => break reason,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signals += 1;
        if signals == 1 {
            slog::info!(log, "stopping; a second signal ends it at once");
            root.stop();
        } else {
            slog::warn!(log, "second signal: ending at once");
            root.kill();
        }
    };
    let not_started = started.await.ok().and_then(Result::err);
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
