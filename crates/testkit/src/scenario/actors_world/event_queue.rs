//! The order in which a dynamic supervisor gets events.
//!
//! An OTP supervisor reads nothing while a start function runs in it, or while it waits for the exit of a
//! child. A dynamic supervisor of `impresario-actor` goes on meanwhile. So events queue here and are
//! delivered one by one. Static supervisors keep the order themselves.

use std::sync::Arc;

use actix::Addr;
use impresario_actor::ExitReason;

use super::types::{
    Body, QueuedEvent, Shared, State, Supervisor, SupervisorHandle, WorkerActor, WorkerCommand,
};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, ProcessId};

/// Number of yields after which a supervisor has handled the last event.
const YIELDS: u32 = 16;

/// Yields until all tasks wait for time or for an event from outside.
pub(super) async fn yield_to_others() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

impl Shared {
    /// Returns whether the actor of a worker may stop with its process, so that the supervisor is notified
    /// now. If not, the exit is queued.
    pub(super) fn may_exit(self: &Arc<Self>, process: ProcessId, actor: Addr<WorkerActor>) -> bool {
        let (parent, linked) = {
            let state = self.lock();
            let process = &state.processes[process.0];
            (process.parent, process.linked)
        };
        match parent {
            Some(parent) if linked => self.admit_or_queue(parent, || QueuedEvent::Exit(process, actor)),
            _ => linked,
        }
    }

    /// Returns whether an event may be delivered now. If not, it is queued.
    pub(super) fn admit_or_queue(
        self: &Arc<Self>,
        supervisor: ProcessId,
        event: impl FnOnce() -> QueuedEvent,
    ) -> bool {
        let mut state = self.lock();
        let Some(known) = state.supervisor(supervisor) else { return true };
        if !matches!(known.handle, SupervisorHandle::Dynamic(_)) {
            return true;
        }
        let open = known.is_receiving() && known.queue.events.is_empty();
        let open = open && !state.awaits_child_exit(supervisor);
        let Some(known) = state.supervisor(supervisor) else { return true };
        if open {
            known.queue.delivering = true;
            drop(state);
            actix_rt::spawn(self.clone().deliver_queued(supervisor));
        } else {
            known.queue.events.push_back(event());
        }
        open
    }

    /// Delivers queued events one by one, after the event that was just delivered.
    async fn deliver_queued(self: Arc<Self>, supervisor: ProcessId) {
        let mut immediate = false;
        loop {
            if !immediate {
                yield_to_others().await;
            }
            let event = {
                let mut state = self.lock();
                let Some(known) = state.supervisor(supervisor) else { return };
                known.queue.delivering = false;
                self.changed.notify_waiters();
                if !known.is_receiving() || state.awaits_child_exit(supervisor) {
                    return;
                }
                let Some(known) = state.supervisor(supervisor) else { return };
                let Some(event) = known.queue.events.pop_front() else { return };
                known.queue.delivering = true;
                event
            };
            // These events need only an answer, so the next event need not wait.
            immediate = match &event {
                QueuedEvent::Call(_, call) => {
                    !matches!(call, Call::StartInstance(_) | Call::TerminateProcess(_))
                }
                QueuedEvent::Unexpected(_) => true,
                QueuedEvent::Exit(..) | QueuedEvent::Stop(_) => false,
            };
            match event {
                QueuedEvent::Exit(_, actor) => actor.do_send(WorkerCommand::Release),
                QueuedEvent::Call(call, operation) => self.send_call(supervisor, call, &operation),
                QueuedEvent::Unexpected(call) => self.send_noop(supervisor, call),
                QueuedEvent::Stop(reason) => self.stop(supervisor, reason),
            }
        }
    }

    /// Answers all queued calls of an exited supervisor with its exit.
    pub(super) fn fail_queued_calls(&self, supervisor: ProcessId, reason: &ExitReason) {
        let Some(events) =
            self.lock().supervisor(supervisor).map(|known| std::mem::take(&mut known.queue.events))
        else {
            return;
        };
        for event in events {
            if let QueuedEvent::Call(call, _) = event {
                self.lock().calls[call.0].received = Some(Answer::Exit(reason.clone()));
                self.deliver(call);
            }
        }
    }

    /// Delivers queued events if nothing blocks them any more.
    pub(super) fn resume_delivery(self: &Arc<Self>, supervisor: ProcessId) {
        let mut state = self.lock();
        let Some(known) = state.supervisor(supervisor) else { return };
        if known.is_receiving() && !known.queue.events.is_empty() {
            known.queue.delivering = true;
            drop(state);
            actix_rt::spawn(self.clone().deliver_queued(supervisor));
        }
    }

    /// Waits until a dynamic supervisor has no queued events. Returns immediately for a static one.
    pub(super) async fn wait_until_idle(self: &Arc<Self>, supervisor: ProcessId) {
        if !self.lock().is_idle(supervisor) {
            self.resume_delivery(supervisor);
            self.wait_until(|state| state.is_idle(supervisor)).await;
        }
    }

    /// Removes the queued exit of a process and returns its reason.
    pub(super) fn take_queued_exit(&self, process: ProcessId) -> Option<ExitReason> {
        let mut state = self.lock();
        let known = &state.processes[process.0];
        let (parent, reason) = (known.parent?, known.exit.clone());
        let queue = &mut state.supervisor(parent)?.queue;
        let at = queue
            .events
            .iter()
            .position(|event| matches!(event, QueuedEvent::Exit(of, _) if *of == process))?;
        queue.events.remove(at);
        reason
    }

    /// Returns whether a signal must go to the worker as a command. Sent to the actor directly, it would
    /// notify the supervisor out of order.
    pub(super) fn needs_command(&self, process: ProcessId) -> bool {
        let mut state = self.lock();
        let known = &state.processes[process.0];
        let requested = matches!(known.body, Body::Worker { stop_requested_at: Some(_), .. });
        let (linked, parent) = (known.linked, known.parent);
        let dynamic = parent
            .and_then(|parent| state.supervisor(parent))
            .is_some_and(|parent| matches!(parent.handle, SupervisorHandle::Dynamic(_)));
        !requested && (!linked || dynamic)
    }
}

impl Supervisor {
    fn is_receiving(&self) -> bool {
        !self.queue.delivering
            && !self.queue.suspended
            && self.queue.terminating == 0
            && self.running_starts == 0
    }
}

impl State {
    /// Returns whether a supervisor has no queued events. Always true for static ones.
    pub(super) fn is_idle(&self, supervisor: ProcessId) -> bool {
        match &self.processes[supervisor.0].body {
            Body::Supervisor(known) if matches!(known.handle, SupervisorHandle::Dynamic(_)) => {
                let queue = &known.queue;
                !queue.delivering
                    && queue.terminating == 0
                    && known.running_starts == 0
                    && queue.events.is_empty()
            }
            _ => true,
        }
    }
}
