//! A world of real actors under real supervisors.
//!
//! Each child is an actor whose start function is an async factory; supervisors are those of `impresario-actor`, asked
//! by their own admin calls, and their reports are taken from the log. What is OTP's own and not ours is played here:
//! processes that outlive their supervisor, or leave it.

mod calls;
mod clock;
mod gate;
mod host;
mod orphans;
mod reports;
mod stage;
mod starts;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::{System, SystemRunner};
use impresario_actor::{ExitReason, Restart, Strategy, Supervisor, Tree};
use slog::{Drain, Logger, o};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::check::{BAD_INIT, check};
use super::plan::{Attempt, SupervisorPlan};
use super::step::{Call, TOP};
use super::world::{Answer, Booted, CallId, LONG, ProcessId, World};
use clock::pass;
use gate::{Letter, calm};
use host::Word;
use reports::Reports;
use stage::{Body, Name, Stage, TRACED};

/// A world of actors on a runtime of its own, on the thread that made it.
pub struct ActorsWorld {
    system: SystemRunner,
    stage: Arc<Stage>,
    tree: Option<Tree>,
    begun: Instant,
}

impl ActorsWorld {
    /// A world in which time passes as it does.
    pub fn new() -> Self {
        Self::with_clock(false)
    }

    /// A world in which time passes only when nothing else is left to do, and then at once.
    pub fn paused() -> Self {
        Self::with_clock(true)
    }

    fn with_clock(paused: bool) -> Self {
        let system = System::with_tokio_rt(|| {
            let runtime = Builder::new_current_thread().enable_all().start_paused(paused).build();
            runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
        });
        let (tracing, mut traced) = mpsc::channel(TRACED);
        let stage = Arc::new(Stage::new(tracing));
        let watched = stage.clone();
        let begun = system.block_on(async move {
            let stage = watched.clone();
            actix_rt::spawn(async move {
                while let Some(event) = traced.recv().await {
                    stage.trace_event(&event);
                }
            });
            actix_rt::spawn(async move {
                loop {
                    watched.gone.notified().await;
                    watched.notice_deaths();
                }
            });
            Instant::now()
        });
        Self { system, stage, tree: None, begun }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.system.block_on(work)
    }

    /// Waits until something holds, at most so long; whether it does.
    fn wait(&self, within: Duration, holds: impl Fn(&stage::Cast) -> bool) -> bool {
        self.run(async {
            let held = timeout(within, self.stage.until(&holds)).await.is_ok();
            held || holds(&self.stage.cast())
        })
    }

    fn is_supervisor(&self, process: ProcessId) -> bool {
        matches!(self.stage.cast().processes[process.0].body, Body::Supervisor(_))
    }

    /// Has a worker hear something, if it is played.
    fn say(&self, process: ProcessId, word: Word) {
        let host = match &self.stage.cast().processes[process.0].body {
            Body::Worker { host: Some(host), .. } => host.clone(),
            _ => return,
        };
        self.run(async { host.do_send(word) });
    }

    fn is_orphan(&self, process: ProcessId) -> bool {
        self.stage.cast().processes[process.0].orphan
    }
}

impl Stage {
    /// The parent tells a supervisor to stop.
    fn stop(self: &Arc<Self>, supervisor: ProcessId, reason: ExitReason) {
        let Some(name) = self.cast().supervisor(supervisor).map(|known| known.name.clone()) else { return };
        actix_rt::spawn(async move {
            // An error means that it is not there any more.
            let _ = match name {
                Name::Static(name) => name.stop(reason).await,
                Name::Dynamic(name) => name.stop(reason).await,
            };
        });
    }
}

impl World for ActorsWorld {
    fn boot(&mut self, plan: &Arc<SupervisorPlan>) -> Booted {
        match plan.init() {
            Some("ignore") => return Booted::Ignore,
            Some(_) => return Booted::Error(BAD_INIT.to_owned()),
            None => {}
        }
        if let Err(refusal) = check(plan) {
            return Booted::Error(refusal.at_start());
        }
        let top = starts::nested_supervisor(&self.stage, None, TOP, plan).restart(Restart::Temporary);
        let log = Logger::root(Reports(self.stage.clone()).fuse(), o!());
        let root = Supervisor::new(Strategy::OneForOne).logger(log).child(top);
        self.tree = self.run(async { timeout(LONG, root.start()).await.ok()?.ok() });
        self.wait(LONG, |cast| cast.booted.is_some());
        self.stage.cast().booted.take().unwrap_or(Booted::Error("timeout".to_owned()))
    }

    fn write(&mut self, line: String) {
        self.stage.write(line);
    }

    fn lines(&self) -> usize {
        self.stage.cast().trace.len()
    }

    fn into_trace(self) -> Vec<String> {
        let trace = std::mem::take(&mut self.stage.cast().trace);
        self.run(async {
            if let Some(tree) = &self.tree {
                tree.kill();
                // Who does not end even then is let go with the runtime.
                let _ = timeout(LONG, tree.stopped()).await;
            }
            calm().await;
        });
        // They know the stage, and it knows them.
        self.stage.cast().calls.clear();
        self.stage.cast().processes.clear();
        trace
    }

    fn elapsed(&self) -> Duration {
        self.run(async { self.begun.elapsed() })
    }

    fn sleep(&mut self, time: Duration) {
        self.run(async {
            calm().await;
            pass(time).await;
            calm().await;
        });
        self.stage.notice_deaths();
    }

    fn process(&self, id: &str) -> Option<ProcessId> {
        self.stage.cast().latest.get(id).copied()
    }

    fn name(&self, process: ProcessId) -> String {
        self.stage.cast().name(process)
    }

    fn is_alive(&self, process: ProcessId) -> bool {
        self.stage.notice_deaths();
        self.stage.cast().is_alive(process)
    }

    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool {
        self.wait(within, |cast| !cast.is_alive(process))
    }

    fn exit_self(&mut self, process: ProcessId, reason: ExitReason) {
        if !self.is_alive(process) {
            return;
        }
        match (self.is_supervisor(process), self.is_orphan(process)) {
            (true, false) => self.run(async { self.stage.unexpected(process) }),
            (true, true) => {}
            (false, false) => self.say(process, Word::ExitSelf(reason)),
            (false, true) => self.stage.orphan_exits(process, &reason),
        }
    }

    fn signal(&mut self, process: ProcessId, reason: ExitReason) {
        if !self.is_alive(process) {
            return;
        }
        let (pid, is_top) = {
            let cast = self.stage.cast();
            let known = &cast.processes[process.0];
            (known.pid.clone(), known.parent.is_none())
        };
        if self.is_orphan(process) {
            if !self.is_supervisor(process) {
                self.run(async { self.stage.exit_signal(process, &reason) });
            }
        } else if is_top {
            // The script stands where its parent is. Who is suspended hears that and nothing else.
            self.run(async {
                let suspended = self.stage.cast().supervisor(process).is_some_and(|top| top.gate.suspended);
                if suspended || self.stage.passes(process, || Letter::Stop(reason.clone())) {
                    self.stage.stop(process, reason);
                }
            });
        } else if !self.is_supervisor(process) && self.stage.is_apart(process) {
            self.say(process, Word::Signal(reason));
        } else {
            pid.exit(reason);
        }
    }

    fn kill(&mut self, process: ProcessId) {
        if !self.is_alive(process) {
            return;
        }
        if self.is_orphan(process) {
            self.run(async { self.stage.kill_orphan(process) });
        } else if !self.is_supervisor(process) && self.stage.is_apart(process) {
            self.say(process, Word::Kill);
        } else {
            let pid = self.stage.cast().processes[process.0].pid.clone();
            pid.kill();
        }
    }

    fn message(&mut self, process: ProcessId) {
        if self.is_supervisor(process) && self.is_alive(process) && !self.is_orphan(process) {
            self.run(async { self.stage.unexpected(process) });
        }
    }

    fn unlink(&mut self, process: ProcessId) {
        if self.is_supervisor(process) {
            return self.message(process);
        }
        let mut cast = self.stage.cast();
        let known = &mut cast.processes[process.0];
        // Who is busy dying reads nothing.
        known.linked &= matches!(known.body, Body::Worker { dying: Some(_), .. });
    }

    fn suspend(&mut self, supervisor: ProcessId) {
        if !self.is_supervisor(supervisor) || !self.is_alive(supervisor) {
            return;
        }
        self.run(async {
            // Not in the middle of something.
            let idle = self.stage.new_call(None);
            self.stage.ask_nothing(supervisor, idle);
            let at_rest = async {
                self.stage.until(|cast| cast.calls[idle.0].answer.is_some()).await;
                self.stage.until(|cast| cast.is_idle(supervisor)).await;
                let pid = self.stage.cast().processes[supervisor.0].pid.clone();
                // An error means that it is over.
                let _ = pid.suspend().await;
            };
            // One that never comes to rest is taken as it is.
            let _ = timeout(LONG, at_rest).await;
            if let Some(known) = self.stage.cast().supervisor(supervisor) {
                known.gate.suspended = true;
            }
        });
    }

    fn resume(&mut self, supervisor: ProcessId) {
        let pid = self.stage.cast().processes[supervisor.0].pid.clone();
        if let Some(known) = self.stage.cast().supervisor(supervisor) {
            known.gate.suspended = false;
        }
        self.run(async {
            pid.resume();
            self.stage.reopen(supervisor);
        });
    }

    fn call(&mut self, supervisor: ProcessId, call: Call, announce: Option<String>) -> CallId {
        let id = self.stage.new_call(announce);
        if !self.is_alive(supervisor) || !self.is_supervisor(supervisor) || self.is_orphan(supervisor) {
            self.stage.answer_at_once(id, Answer::Exit(ExitReason::NoProc));
            return id;
        }
        self.run(async {
            if self.stage.passes(supervisor, || Letter::Call(id, call.clone())) {
                self.stage.ask(supervisor, id, &call);
            }
        });
        id
    }

    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer> {
        self.wait(within, |cast| cast.calls[call.0].answer.is_some());
        self.stage.cast().calls[call.0].answer.clone()
    }

    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.stage.cast().attempts.replace(id, attempts);
    }
}

impl Default for ActorsWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ActorsWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorsWorld").field("begun", &self.begun).finish_non_exhaustive()
    }
}
