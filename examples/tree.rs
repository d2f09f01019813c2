//! Tree: a supervision tree to shoot at. It does nothing but live; commands on stdin crash, stop, suspend and trace its
//! children, and `tree` shows what became of them. Try `help`.
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use actix::{Actor, Context};
use impresario::actor::{Pid, SupervisorRef, TraceEvent, Tree, Watchdog, terminal_logger};
use impresario::prelude::*;
use slog::Logger;
use tokio::sync::mpsc;

const HELP: &str = "\
tree              show everything
crash CHILD       end it with an error
suspend CHILD     let it handle nothing
resume CHILD      let it go on
trace CHILD       log all it does
hang CHILD        let it hold its thread for a while
stop CHILD        stop it and leave it down
restart CHILD     start it again
session           start one more session
quit              stop everything, in order";

/// Lives until it is told to end.
struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

fn child(id: &str) -> ChildSpec {
    ChildSpec::actor(id, |_| Ok(Idle))
}

/// How long something may take to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a thread may stand still before somebody hears of it.
const STALL: Duration = Duration::from_millis(250);
/// How long `hang` does.
const HANG: Duration = Duration::from_secs(2);
/// How many events of a trace wait for the log; more are dropped and counted.
const MAX_HEARD: usize = 1_000;

// ANCHOR: watchdog
fn watch(tree: &Tree, log: Logger) -> io::Result<Watchdog> {
    Watchdog::start(tree.system(), STALL, move |stall| slog::warn!(log, "{stall}"))
}
// ANCHOR_END: watchdog

// ANCHOR: trace
fn trace(pid: &Pid, log: Logger) {
    let (events, mut heard) = mpsc::channel::<TraceEvent>(MAX_HEARD);
    pid.trace(events);
    actix::spawn(async move {
        while let Some(event) = heard.recv().await {
            slog::info!(log, "{}", event.kind; "life" => %event.pid, "missed" => event.missed);
        }
    });
}
// ANCHOR_END: trace

/// Works on the state of an actor for far too long.
async fn hang(pid: &Pid) -> Result<(), String> {
    let idle = pid.actor::<Idle>().ok_or("a supervisor does no work that could hang")?;
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

    /// What a command says, or why it could not be done.
    async fn obey(&self, command: &str, id: &str) -> Result<String, String> {
        match command {
            "tree" => return Ok(self.tree.tree().await.to_string()),
            "crash" => {
                let pid = self.find(id).await?;
                pid.exit(ExitReason::Error("crashed by hand".to_owned()));
                // A supervisor ignores it.
                let ended = tokio::time::timeout(PATIENCE, pid.wait_exit()).await;
                return ended
                    .map(|reason| format!("{id} {pid} ended: {reason}"))
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
            "session" => self.sessions.start(()).map_err(|()| "there is nobody to start it".to_owned())?,
            _ => return Ok(HELP.to_owned()),
        }
        Ok("done".to_owned())
    }

    async fn find(&self, id: &str) -> Result<Pid, String> {
        let tree = self.tree.tree().await;
        tree.find(id).and_then(|child| child.pid.clone()).ok_or(format!("no child {id:?} is alive"))
    }

    /// The supervisor that has such a child.
    async fn parent(&self, id: &str) -> Result<&SupervisorRef, String> {
        for supervisor in [self.tree.root(), &self.shop] {
            if supervisor.child_pid(id).await.is_ok() {
                return Ok(supervisor);
            }
        }
        Err(format!("there is no child {id:?} with a place of its own"))
    }

    async fn run(self, mut lines: mpsc::Receiver<String>) -> io::Result<()> {
        while let Some(line) = lines.recv().await {
            let (command, id) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            if command == "quit" {
                break;
            }
            // What is suspended does not answer.
            let said = tokio::time::timeout(2 * PATIENCE, self.obey(command, id.trim())).await;
            let said = said.unwrap_or_else(|_| Err("no answer".to_owned()));
            let said = said.unwrap_or_else(|error| format!("error: {error}"));
            writeln!(io::stdout(), "{}\n", said.trim_end())?;
        }
        self.tree.stop();
        writeln!(io::stdout(), "ended: {}", self.tree.stopped().await)
    }
}

fn main() -> io::Result<()> {
    let (tell, lines) = mpsc::channel(16);
    // A read of stdin blocks, so it has a thread of its own.
    std::thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell.blocking_send(line))
    });
    actix::System::new().block_on(async {
        let console = Console::start().await.map_err(io::Error::other)?;
        console.run(lines).await
    })
}
