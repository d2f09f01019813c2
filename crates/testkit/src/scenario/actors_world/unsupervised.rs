//! Processes that outlive a killed supervisor.
//!
//! A killed supervisor of `impresario-actor` drops its actors immediately. In OTP its children get an exit
//! signal: one that traps exits runs on, and a supervisor first stops its own children. So these processes
//! are simulated without actors. One difference remains: OTP's nested supervisor restarts children until it
//! reads the signal, the simulated one does not.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use impresario_actor::{ExitReason, Restart, Shutdown};
use tokio::time::{Instant, timeout_at};

use super::clock::{elapse, elapse_until};
use super::types::{Body, Process, Shared, StartInProgress, State, SupervisorHandle, WorkerCommand};
use crate::scenario::term::reason_text;
use crate::scenario::world::ProcessId;

impl Shared {
    /// Records the exit of a supervisor that had started.
    pub(super) fn supervisor_exited(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        {
            let mut state = self.lock();
            state.record_exits();
            if !state.is_alive(process) {
                return;
            }
            if *reason == ExitReason::Killed && state.parent_was_killed(process) {
                // Its parent was killed too, so it goes on without an actor.
                state.processes[process.0].unsupervised = true;
            }
            if state.processes[process.0].unsupervised {
                return;
            }
        }
        self.record_exit(process, reason);
        self.release_children(process, reason);
        self.fail_queued_calls(process, reason);
    }

    pub(super) fn release_children(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut released = self.running_children(process);
        {
            let mut state = self.lock();
            released.iter().for_each(|child| state.processes[child.0].unsupervised = true);
            released.retain(|child| {
                let child = &state.processes[child.0];
                child.linked || matches!(child.body, Body::Worker { delayed_exit: Some(_), .. })
            });
            // Processes that do not trap exits exit before the others read the signal.
            released.sort_by_key(|child| {
                !matches!(state.processes[child.0].body, Body::Worker { on_shutdown: None, .. })
            });
        }
        released.into_iter().for_each(|child| self.exit_signal(child, reason));
    }

    fn running_children(&self, process: ProcessId) -> Vec<ProcessId> {
        let state = self.lock();
        let all = (0..state.processes.len()).map(ProcessId);
        all.filter(|child| state.processes[child.0].parent == Some(process) && state.is_alive(*child))
            .collect()
    }

    /// Delivers an exit signal to a process without an actor.
    pub(super) fn exit_signal(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let mut state = self.lock();
        if !state.is_alive(process) {
            return;
        }
        let (end, reason) = match &mut state.processes[process.0].body {
            Body::Worker { delayed_exit: Some((until, own)), .. } => (Some(*until), own.clone()),
            Body::Worker { on_shutdown: None, .. } if *reason == ExitReason::Normal => return,
            Body::Worker { on_shutdown: None, .. } => (None, reason.clone()),
            Body::Worker { on_shutdown: Some(on_shutdown), delayed_exit, .. } => {
                match on_shutdown.response_to(reason) {
                    None => return,
                    Some((None, reason)) => (None, reason),
                    Some((Some(delay), reason)) => {
                        let until = Instant::now() + delay;
                        *delayed_exit = Some((until, reason.clone()));
                        (Some(until), reason)
                    }
                }
            }
            Body::Supervisor(_) => {
                drop(state);
                let mut end = Box::pin(self.clone().terminate_unsupervised(process, reason.clone()));
                // The part before the first wait happens now.
                if end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                    actix_rt::spawn(end);
                }
                return;
            }
        };
        drop(state);
        let shared = self.clone();
        match end {
            None => shared.record_exit(process, &reason),
            Some(until) => drop(actix_rt::spawn(async move {
                elapse_until(until).await;
                shared.record_exit(process, &reason);
            })),
        }
    }

    /// Stops the children of a supervisor without an actor, and then exits.
    async fn terminate_unsupervised(self: Arc<Self>, process: ProcessId, reason: ExitReason) {
        let (specs, dynamic, start_in_progress, reason) = {
            let mut state = self.lock();
            let Some(known) = state.supervisor(process) else { return };
            let dynamic = matches!(known.handle, SupervisorHandle::Dynamic(_));
            // A stop request that came first determines the reason, `shutdown`.
            let reason = known.stop_requested_at.map_or(reason, |_| ExitReason::Shutdown);
            (known.checked.specs.clone(), dynamic, known.start_in_progress.take(), reason)
        };
        // It reads nothing while a start function runs in it.
        if let Some(start) = start_in_progress.filter(|start| !dynamic && start.returns_at > Instant::now()) {
            self.finish_start(process, start).await;
        }
        let mut children = self.running_children(process);
        for child in &children {
            self.lock().processes[child.0].unsupervised = true;
        }
        let place = |child: &ProcessId| {
            let state = self.lock();
            let id = &state.processes[child.0].id;
            if dynamic { Some(0) } else { specs.iter().position(|spec| spec.id.as_str() == id) }
        };
        children.sort_by_key(|child| place(child).map_or(usize::MAX, |at| at));
        let spec_of = |child: &ProcessId| place(child).and_then(|at| specs.get(at));
        if dynamic {
            children
                .iter()
                .for_each(|child| self.stop_unsupervised(*child, spec_of(child).map(|spec| spec.shutdown)));
        }
        for child in children.iter().rev() {
            let Some(spec) = spec_of(child) else { continue };
            if !dynamic {
                self.stop_unsupervised(*child, Some(spec.shutdown));
            }
            let ended = self.await_exit(*child, spec.shutdown).await;
            let expected = match spec.shutdown {
                Shutdown::Kill => ended == ExitReason::Killed,
                _ => ended == ExitReason::Shutdown,
            } || (spec.restart != Restart::Permanent && ended.is_clean());
            if !expected {
                self.write(format!("report shutdown_error {} {}", spec.id, reason_text(&ended)));
            }
        }
        // Other tasks run before its exit, as in OTP.
        tokio::task::yield_now().await;
        self.record_exit(process, &reason);
    }

    /// Completes a start function of a supervisor without an actor.
    async fn finish_start(self: &Arc<Self>, parent: ProcessId, start: StartInProgress) {
        elapse_until(start.returns_at).await;
        if !self.lock().is_alive(parent) {
            return;
        }
        let StartInProgress { id, number, attempt, on_shutdown, pid, .. } = start;
        if let Some((line, failed)) = attempt.failure(&id, number) {
            self.write(line);
            if let Some(reason) = failed {
                self.write(format!("report start_error {id} {}", reason_text(&reason)));
            }
            return;
        }
        let process = self.lock().add_process(Process {
            id,
            attempt: number,
            parent: Some(parent),
            pid,
            body: Body::Worker { on_shutdown, actor: None, delayed_exit: None, stop_requested_at: None },
            linked: true,
            unsupervised: true,
            start_recorded: false,
            extra: false,
            exit: None,
        });
        self.record_start(process);
        if let Some(after) = attempt.exit_after {
            actix_rt::spawn(self.clone().exit_after_delay(process, after, attempt.reason.to_reason()));
        }
    }

    /// A worker exits by itself after this time, with or without an actor.
    pub(super) async fn exit_after_delay(
        self: Arc<Self>,
        process: ProcessId,
        after: Duration,
        reason: ExitReason,
    ) {
        elapse(after).await;
        if !self.lock().is_alive(process) {
            return;
        }
        let actor = match &self.lock().processes[process.0] {
            Process { unsupervised: false, body: Body::Worker { actor, .. }, .. } => actor.clone(),
            _ => None,
        };
        match actor {
            Some(actor) => actor.do_send(WorkerCommand::ExitSelf(reason)),
            None => self.exit_unsupervised(process, &reason),
        }
    }

    fn traps_exits(&self, process: ProcessId) -> bool {
        !matches!(self.lock().processes[process.0].body, Body::Worker { on_shutdown: None, .. })
    }

    fn stop_unsupervised(self: &Arc<Self>, child: ProcessId, shutdown: Option<Shutdown>) {
        match shutdown {
            Some(Shutdown::Kill) => self.kill_unsupervised(child),
            // With a timeout of zero, a process that traps exits is killed before it reads the signal.
            Some(Shutdown::Timeout(Duration::ZERO)) if self.traps_exits(child) => {
                self.kill_unsupervised(child);
            }
            _ => self.exit_signal(child, &ExitReason::Shutdown),
        }
    }

    /// A worker without an actor exits by itself.
    pub(super) fn exit_unsupervised(self: &Arc<Self>, process: ProcessId, reason: &ExitReason) {
        let delayed_exit =
            matches!(self.lock().processes[process.0].body, Body::Worker { delayed_exit: Some(_), .. });
        if !delayed_exit {
            self.record_exit(process, reason);
        }
    }

    /// Kills a process without an actor.
    pub(super) fn kill_unsupervised(self: &Arc<Self>, process: ProcessId) {
        self.record_exit(process, &ExitReason::Killed);
        self.release_children(process, &ExitReason::Killed);
    }

    async fn await_exit(self: &Arc<Self>, child: ProcessId, shutdown: Shutdown) -> ExitReason {
        let ended = self.wait_until(|state| !state.is_alive(child));
        match shutdown {
            Shutdown::Timeout(time) => {
                let requested = self.lock().stop_requested_at(child).unwrap_or_else(Instant::now);
                if timeout_at(requested + time, ended).await.is_err() {
                    self.kill_unsupervised(child);
                }
            }
            Shutdown::Kill | Shutdown::Infinity => ended.await,
        }
        self.lock().processes[child.0].exit.clone().unwrap_or(ExitReason::Killed)
    }

    /// Waits until the condition holds.
    pub(super) async fn wait_until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            changed.await;
        }
    }
}
