//! The main loop of a process that runs a tree of actors: a router or a worker.

use actix_rt::{System, SystemRunner};
use impresario_actor::{ExitReason, Supervisor, Tree};
use impresario_process::{BoxError, ProcessExit, ProcessStart};
use slog::Logger;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What ports request from the process.
///
/// The channel has no bound, because each port sends at most one command of each kind.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Drain and exit.
    Quit,
    /// Drain and exit with a failure, for this reason, so that the parent starts a replacement.
    Replace(String),
    /// Exit immediately: the parent has exited.
    Orphaned,
}

pub(crate) type CommandSender = UnboundedSender<Command>;

/// Starts a tree on a new `System`. When it returns, the process is ready. The returned function runs until the exit.
///
/// # Errors
///
/// The tree cannot be constructed or started.
pub(crate) fn start_tree<T>(log: Logger, tree: T) -> Result<ProcessStart, BoxError>
where
    T: FnOnce(CommandSender) -> Result<Supervisor, BoxError>,
{
    let system = System::new();
    let (commands, incoming) = unbounded_channel();
    let (terminate, root) = system.block_on(async {
        // Before the start: a SIGTERM that arrives during the start would kill the process otherwise.
        let terminate = signal(SignalKind::terminate())?;
        Ok::<_, BoxError>((terminate, tree(commands)?.start().await?))
    })?;
    Ok(Box::new(move || run(&system, &root, incoming, terminate, &log)))
}

fn run(
    system: &SystemRunner,
    root: &Tree,
    mut commands: UnboundedReceiver<Command>,
    mut terminate: Signal,
    log: &Logger,
) -> ProcessExit {
    system.block_on(async {
        let mut exit = ProcessExit::Done;
        let reason = loop {
            tokio::select! {
                reason = root.stopped() => break reason,
                // Same as `Quit`.
                _ = terminate.recv() => root.stop(),
                Some(command) = commands.recv() => match command {
                    Command::Quit => root.stop(),
                    Command::Replace(reason) => {
                        slog::error!(log, "draining, to be replaced"; "reason" => reason);
                        exit = ProcessExit::Failed;
                        root.stop();
                    }
                    Command::Orphaned => {
                        slog::warn!(log, "the parent has exited; exiting");
                        exit = ProcessExit::Failed;
                        root.kill();
                    }
                },
            }
        };
        match reason {
            ExitReason::Shutdown | ExitReason::Normal | ExitReason::Killed => exit,
            reason => {
                slog::crit!(log, "the tree of actors has exited"; "reason" => %reason);
                ProcessExit::Failed
            }
        }
    })
}
