//! A tree as a whole program.

use std::io;
use std::process::ExitCode;

use impresario_supervision::ExitReason;
use slog::Logger;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Supervisor, Tree, log};

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
            let root = match tree.start().await {
                Ok(root) => root,
                Err(error) => {
                    slog::crit!(log, "cannot start: {error}");
                    return ExitCode::FAILURE;
                }
            };
            match wait(&root, &log).await {
                Ok(code) => code,
                Err(error) => {
                    slog::crit!(log, "cannot wait for signals: {error}");
                    root.kill();
                    root.stopped().await;
                    ExitCode::FAILURE
                }
            }
        })
    }
}

async fn wait(root: &Tree, log: &Logger) -> io::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
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
    match reason {
        ExitReason::Killed if signals > 1 => Ok(ExitCode::from(KILLED)),
        ExitReason::Normal | ExitReason::Shutdown => Ok(ExitCode::SUCCESS),
        reason => {
            slog::crit!(log, "ended: {reason}");
            Ok(ExitCode::FAILURE)
        }
    }
}
