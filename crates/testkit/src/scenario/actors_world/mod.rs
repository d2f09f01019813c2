//! A world of real actors under the supervisors of `impresario-actor`.
//!
//! Each child is an actor with an async factory as its start function. Calls go through the references of the
//! supervisors; reports are read from the log. Two things exist only in OTP and are simulated here: processes
//! that unlink from their supervisor, and processes that outlive it.
//!
//! `types.rs` holds the data, each other file one part of the behaviour. This folder knows no supervision
//! rules of its own.

mod calls;
mod clock;
mod event_queue;
mod worker_actor;

mod reports;
mod starts;
mod state;
mod types;
mod unsupervised;

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
use clock::elapse;
use event_queue::yield_to_others;
use reports::Reports;
use types::{Body, QueuedEvent, Shared, State, TRACED, WorkerCommand};

/// A world of actors with its own runtime on the current thread.
pub struct ActorsWorld {
    system: SystemRunner,
    shared: Arc<Shared>,
    tree: Option<Tree>,
    started_at: Instant,
}

impl ActorsWorld {
    /// A world on real time.
    pub fn new() -> Self {
        Self::with_clock(false)
    }

    /// A world on tokio's paused clock: time advances only when all tasks wait for it.
    pub fn paused() -> Self {
        Self::with_clock(true)
    }

    fn with_clock(paused: bool) -> Self {
        let system = System::with_tokio_rt(|| {
            let runtime = Builder::new_current_thread().enable_all().start_paused(paused).build();
            runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
        });
        let (tracing, mut traced) = mpsc::channel(TRACED);
        let shared = Arc::new(Shared::new(tracing));
        let watched = shared.clone();
        let started_at = system.block_on(async move {
            let shared = watched.clone();
            actix_rt::spawn(async move {
                while let Some(event) = traced.recv().await {
                    shared.handle_trace_event(&event);
                }
            });
            actix_rt::spawn(async move {
                loop {
                    watched.dropped.notified().await;
                    watched.record_exits();
                }
            });
            Instant::now()
        });
        Self { system, shared, tree: None, started_at }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.system.block_on(work)
    }

    /// Waits until the condition holds, for at most `within`. Returns whether it holds.
    fn wait(&self, within: Duration, holds: impl Fn(&State) -> bool) -> bool {
        self.run(async {
            let held = timeout(within, self.shared.wait_until(&holds)).await.is_ok();
            held || holds(&self.shared.lock())
        })
    }

    fn is_supervisor(&self, process: ProcessId) -> bool {
        matches!(self.shared.lock().processes[process.0].body, Body::Supervisor(_))
    }

    /// Sends a command to the actor of a worker, if it has one.
    fn send_command(&self, process: ProcessId, command: WorkerCommand) {
        let actor = match &self.shared.lock().processes[process.0].body {
            Body::Worker { actor: Some(actor), .. } => actor.clone(),
            _ => return,
        };
        self.run(async { actor.do_send(command) });
    }

    fn is_unsupervised(&self, process: ProcessId) -> bool {
        self.shared.lock().processes[process.0].unsupervised
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
        let top = starts::nested_supervisor(&self.shared, None, TOP, plan).restart(Restart::Temporary);
        let log = Logger::root(Reports(self.shared.clone()).fuse(), o!());
        let root = Supervisor::new(Strategy::OneForOne).logger(log).child(top);
        self.tree = self.run(async { timeout(LONG, root.start()).await.ok()?.ok() });
        self.wait(LONG, |state| state.booted.is_some());
        self.shared.lock().booted.take().unwrap_or(Booted::Error("timeout".to_owned()))
    }

    fn write(&mut self, line: String) {
        self.shared.write(line);
    }

    fn lines(&self) -> usize {
        self.shared.lock().trace.len()
    }

    fn into_trace(self) -> Vec<String> {
        let trace = std::mem::take(&mut self.shared.lock().trace);
        self.run(async {
            if let Some(tree) = &self.tree {
                tree.kill();
                // A tree that does not exit even then is dropped with the runtime.
                let _ = timeout(LONG, tree.stopped()).await;
            }
            yield_to_others().await;
        });
        // Calls and processes hold the shared state, which holds them: break the cycle.
        self.shared.lock().calls.clear();
        self.shared.lock().processes.clear();
        trace
    }

    fn elapsed(&self) -> Duration {
        self.run(async { self.started_at.elapsed() })
    }

    fn sleep(&mut self, time: Duration) {
        self.run(async {
            yield_to_others().await;
            elapse(time).await;
            yield_to_others().await;
        });
        self.shared.record_exits();
    }

    fn process(&self, id: &str) -> Option<ProcessId> {
        self.shared.lock().latest.get(id).copied()
    }

    fn name(&self, process: ProcessId) -> String {
        self.shared.lock().name(process)
    }

    fn is_alive(&self, process: ProcessId) -> bool {
        self.shared.record_exits();
        self.shared.lock().is_alive(process)
    }

    fn await_end(&mut self, process: ProcessId, within: Duration) -> bool {
        self.wait(within, |state| !state.is_alive(process))
    }

    fn exit_self(&mut self, process: ProcessId, reason: ExitReason) {
        if !self.is_alive(process) {
            return;
        }
        match (self.is_supervisor(process), self.is_unsupervised(process)) {
            (true, false) => self.run(async { self.shared.send_unexpected(process) }),
            (true, true) => {}
            (false, false) => self.send_command(process, WorkerCommand::ExitSelf(reason)),
            (false, true) => self.shared.exit_unsupervised(process, &reason),
        }
    }

    fn signal(&mut self, process: ProcessId, reason: ExitReason) {
        if !self.is_alive(process) {
            return;
        }
        let (pid, is_top) = {
            let state = self.shared.lock();
            let known = &state.processes[process.0];
            (known.pid.clone(), known.parent.is_none())
        };
        if self.is_unsupervised(process) {
            if !self.is_supervisor(process) {
                self.run(async { self.shared.exit_signal(process, &reason) });
            }
        } else if is_top {
            // The script is the parent of the top supervisor. A suspended supervisor handles a stop request
            // and nothing else.
            self.run(async {
                let suspended = self.shared.lock().supervisor(process).is_some_and(|top| top.queue.suspended);
                if suspended || self.shared.admit_or_queue(process, || QueuedEvent::Stop(reason.clone())) {
                    self.shared.stop(process, reason);
                }
            });
        } else if !self.is_supervisor(process) && self.shared.needs_command(process) {
            self.send_command(process, WorkerCommand::Signal(reason));
        } else {
            pid.exit(reason);
        }
    }

    fn kill(&mut self, process: ProcessId) {
        if !self.is_alive(process) {
            return;
        }
        if self.is_unsupervised(process) {
            self.run(async { self.shared.kill_unsupervised(process) });
        } else if !self.is_supervisor(process) && self.shared.needs_command(process) {
            self.send_command(process, WorkerCommand::Kill);
        } else {
            let pid = self.shared.lock().processes[process.0].pid.clone();
            pid.kill();
        }
    }

    fn message(&mut self, process: ProcessId) {
        if self.is_supervisor(process) && self.is_alive(process) && !self.is_unsupervised(process) {
            self.run(async { self.shared.send_unexpected(process) });
        }
    }

    fn unlink(&mut self, process: ProcessId) {
        if self.is_supervisor(process) {
            return self.message(process);
        }
        let mut state = self.shared.lock();
        let known = &mut state.processes[process.0];
        // A process with a delayed exit reads no more messages.
        known.linked &= matches!(known.body, Body::Worker { delayed_exit: Some(_), .. });
    }

    fn suspend(&mut self, supervisor: ProcessId) {
        if !self.is_supervisor(supervisor) || !self.is_alive(supervisor) {
            return;
        }
        self.run(async {
            // Suspend between two events: wait for the answer to a count request and for an empty queue.
            let idle = self.shared.new_call(None);
            self.shared.send_noop(supervisor, idle);
            let at_rest = async {
                self.shared.wait_until(|state| state.calls[idle.0].answer.is_some()).await;
                self.shared.wait_until(|state| state.is_idle(supervisor)).await;
                let pid = self.shared.lock().processes[supervisor.0].pid.clone();
                // An error means that it has exited.
                let _ = pid.suspend().await;
            };
            // A supervisor that does not become idle within 1 h is suspended as it is.
            let _ = timeout(LONG, at_rest).await;
            if let Some(known) = self.shared.lock().supervisor(supervisor) {
                known.queue.suspended = true;
            }
        });
    }

    fn resume(&mut self, supervisor: ProcessId) {
        let pid = self.shared.lock().processes[supervisor.0].pid.clone();
        if let Some(known) = self.shared.lock().supervisor(supervisor) {
            known.queue.suspended = false;
        }
        self.run(async {
            pid.resume();
            self.shared.resume_delivery(supervisor);
        });
    }

    fn call(&mut self, supervisor: ProcessId, call: Call, line_prefix: Option<String>) -> CallId {
        let id = self.shared.new_call(line_prefix);
        if !self.is_alive(supervisor) || !self.is_supervisor(supervisor) || self.is_unsupervised(supervisor) {
            self.shared.answer_call(id, Answer::Exit(ExitReason::NoProc));
            return id;
        }
        self.run(async {
            if self.shared.admit_or_queue(supervisor, || QueuedEvent::Call(id, call.clone())) {
                self.shared.send_call(supervisor, id, &call);
            }
        });
        id
    }

    fn await_answer(&mut self, call: CallId, within: Duration) -> Option<Answer> {
        self.wait(within, |state| state.calls[call.0].answer.is_some());
        self.shared.lock().calls[call.0].answer.clone()
    }

    fn set_start(&mut self, id: &str, attempts: Vec<Attempt>) {
        self.shared.lock().attempts.replace(id, attempts);
    }
}

impl Default for ActorsWorld {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ActorsWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorsWorld").field("started_at", &self.started_at).finish_non_exhaustive()
    }
}
