//! Tree: a supervision tree of idle actors. Commands on stdin crash, stop, suspend and trace them, and `tree` prints
//! the result. Try `help`.
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use actix::{Actor, Context};
use impresario::actor::{Pid, SupervisorRef, TraceEvent, Tree, Watchdog, terminal_logger};
use impresario::prelude::*;
use slog::Logger;
use tokio::sync::mpsc;

const HELP: &str = "\
tree              print the tree
crash CHILD       send it an exit signal with an error
suspend CHILD     suspend it: it handles no messages
resume CHILD      resume it
trace CHILD       log its events
hang CHILD        block its thread for 2 s
stop CHILD        stop it without a restart
restart CHILD     start it after a stop
session           start a dynamic child
quit              shut the tree down and exit";

/// Runs until it is stopped.
struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

fn child(id: &str) -> ChildSpec {
    ChildSpec::actor(id, |_| Ok(Idle))
}

/// Maximum time from an exit signal to the exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which the watchdog reports a blocked thread.
const STALL: Duration = Duration::from_millis(250);
/// Time for which `hang` blocks a thread.
const HANG: Duration = Duration::from_secs(2);
/// Bound of the channel of trace events. When it is full, events are dropped and counted.
const MAX_TRACE_EVENTS: usize = 1_000;

// ANCHOR: watchdog
fn watch(tree: &Tree, log: Logger) -> io::Result<Watchdog> {
    Watchdog::start(tree.registry(), STALL, move |stall| slog::warn!(log, "{stall}"))
}
// ANCHOR_END: watchdog

// ANCHOR: trace
fn trace(pid: &Pid, log: Logger) {
    let (events, mut received) = mpsc::channel::<TraceEvent>(MAX_TRACE_EVENTS);
    pid.trace(events);
    actix::spawn(async move {
        while let Some(event) = received.recv().await {
            slog::info!(log, "{}", event.kind; "pid" => %event.pid, "missed" => event.missed);
        }
    });
}
// ANCHOR_END: trace

/// Blocks the thread of an actor, by a function that runs on its state.
async fn hang(pid: &Pid) -> Result<(), String> {
    let idle = pid.actor::<Idle>().ok_or("a supervisor cannot be blocked")?;
    let work = |_: &mut Idle| {
        let end = Instant::now() + HANG;
        while Instant::now() < end {}
    };
    idle.with_state(work).await.map_err(|error| error.to_string())
}

struct Console {
    log: Logger,
    tree: Tree,
    _watchdog: Watchdog,
    shop: SupervisorRef,
    sessions: DynamicRef<()>,
}

impl Console {
    async fn start() -> Result<Self, StartError> {
        let (shop, sessions) = (SupervisorRef::new(), DynamicRef::new());
        let shop_spec = shop.child_spec("shop", |_| {
            Ok(Supervisor::new(Strategy::RestForOne).child(child("database")).child(child("orders")))
        });
        let sessions_spec = sessions.child_spec("sessions", DynamicSupervisor::new(|_, ()| Ok(Idle)));
        let log = terminal_logger();
        let root = Supervisor::new(Strategy::OneForOne).logger(log.clone());
        let tree = root.child(child("cache")).child(shop_spec).child(sessions_spec).start().await?;
        let watchdog = watch(&tree, log.clone())?;
        Ok(Self { log, tree, _watchdog: watchdog, shop, sessions })
    }

    /// Executes a command. Returns its output, or the error.
    async fn execute(&self, command: &str, id: &str) -> Result<String, String> {
        match command {
            "tree" => return Ok(self.tree.tree().await.to_string()),
            "crash" => {
                let pid = self.find(id).await?;
                pid.exit(ExitReason::Error("crashed by command".to_owned()));
                // A supervisor ignores exit signals.
                let exited = tokio::time::timeout(EXIT_TIMEOUT, pid.wait_exit()).await;
                return exited
                    .map(|reason| format!("{id} {pid} exited: {reason}"))
                    .map_err(|_| format!("{id} goes on"));
            }
            "suspend" => self.find(id).await?.suspend().await.map_err(|error| error.to_string())?,
            "trace" => trace(&self.find(id).await?, self.log.clone()),
            "hang" => hang(&self.find(id).await?).await?,
            "resume" => self.find(id).await?.resume(),
            "stop" => self.parent(id).await?.terminate_child(id).await.map_err(|error| error.to_string())?,
            "restart" => {
                self.parent(id)
                    .await?
                    .restart_child(id)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())?;
            }
            "session" => self
                .sessions
                .start(())
                .map_err(|()| "the supervisor of the sessions does not run".to_owned())?,
            _ => return Ok(HELP.to_owned()),
        }
        Ok("done".to_owned())
    }

    async fn find(&self, id: &str) -> Result<Pid, String> {
        let tree = self.tree.tree().await;
        tree.find(id).and_then(|child| child.pid.clone()).ok_or(format!("no child {id:?} runs"))
    }

    /// The static supervisor of this child.
    async fn parent(&self, id: &str) -> Result<&SupervisorRef, String> {
        for supervisor in [self.tree.root(), &self.shop] {
            if supervisor.child_pid(id).await.is_ok() {
                return Ok(supervisor);
            }
        }
        Err(format!("no static child has the id {id:?}"))
    }

    async fn run(self, mut lines: mpsc::Receiver<String>) -> io::Result<()> {
        while let Some(line) = lines.recv().await {
            let (command, id) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            if command == "quit" {
                break;
            }
            // A suspended supervisor does not answer.
            let output = tokio::time::timeout(2 * EXIT_TIMEOUT, self.execute(command, id.trim())).await;
            let output = output.unwrap_or_else(|_| Err("no answer".to_owned()));
            let output = output.unwrap_or_else(|error| format!("error: {error}"));
            writeln!(io::stdout(), "{}\n", output.trim_end())?;
        }
        self.tree.stop();
        writeln!(io::stdout(), "exited: {}", self.tree.stopped().await)
    }
}

fn main() -> io::Result<()> {
    let (sender, lines) = mpsc::channel(16);
    // Reads of stdin block, so they have a thread of their own.
    std::thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.blocking_send(line))
    });
    actix::System::new().block_on(async {
        let console = Console::start().await.map_err(io::Error::other)?;
        console.run(lines).await
    })
}
