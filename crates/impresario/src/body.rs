//! The life of a process that runs a tree of actors: a router, a worker.

use actix_rt::{System, SystemRunner};
use impresario_actor::{ExitReason, Supervisor, Tree};
use impresario_process::{BoxError, ProcessExit, ProcessStart};
use slog::Logger;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a process is told from outside its tree. Few, so the channel needs no bound: a port says each once.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Drain and leave.
    Quit,
    /// Drain and leave, but as one that failed: to be replaced.
    Replace(String),
    /// Leave at once: nobody is there to work for.
    Orphaned,
}

pub(crate) type Orders = UnboundedSender<Order>;

/// Starts a tree on a new `System`. When this returns the process is ready; the body runs it to its end.
pub(crate) fn boot<T>(log: Logger, tree: T) -> Result<ProcessStart, BoxError>
where
    T: FnOnce(Orders) -> Result<Supervisor, BoxError>,
{
    let system = System::new();
    let (orders, incoming) = unbounded_channel();
    let (terminate, root) = system.block_on(async {
        // First of all: whoever is told that this process is ready may tell it to leave.
        let terminate = signal(SignalKind::terminate())?;
        Ok::<_, BoxError>((terminate, tree(orders)?.start().await?))
    })?;
    Ok(Box::new(move || run(&system, &root, incoming, terminate, &log)))
}

fn run(
    system: &SystemRunner,
    root: &Tree,
    mut orders: UnboundedReceiver<Order>,
    mut terminate: Signal,
    log: &Logger,
) -> ProcessExit {
    system.block_on(async {
        let mut exit = ProcessExit::Done;
        let reason = loop {
            tokio::select! {
                reason = root.stopped() => break reason,
                // As if the parent had said so.
                _ = terminate.recv() => root.stop(),
                Some(order) = orders.recv() => match order {
                    Order::Quit => root.stop(),
                    Order::Replace(why) => {
                        slog::error!(log, "leaving, to be replaced"; "reason" => why);
                        exit = ProcessExit::Failed;
                        root.stop();
                    }
                    Order::Orphaned => {
                        slog::warn!(log, "the parent is gone");
                        exit = ProcessExit::Failed;
                        root.kill();
                    }
                },
            }
        };
        match reason {
            ExitReason::Shutdown | ExitReason::Normal | ExitReason::Killed => exit,
            reason => {
                slog::crit!(log, "ended: {reason}");
                ProcessExit::Failed
            }
        }
    })
}
