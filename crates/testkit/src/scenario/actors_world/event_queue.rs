//! The order in which a dynamic supervisor hears of things.
//!
//! A process of OTP's reads nothing while a start function runs in it, or while it waits for the end of a child; a
//! dynamic supervisor of ours goes on. So what happens meanwhile waits here, and is let through one by one. Static
//! supervisors keep the order themselves.

use std::sync::Arc;

use actix::Addr;
use impresario_actor::ExitReason;

use super::types::{
    Body, QueuedEvent, Shared, State, Supervisor, SupervisorHandle, WorkerActor, WorkerCommand,
};
use crate::scenario::step::Call;
use crate::scenario::world::{Answer, ProcessId};

/// After so many turns of everybody, a supervisor has dealt with what it heard last.
const YIELDS: u32 = 16;

/// Lets everybody have their turn until nothing moves without time.
pub(super) async fn yield_to_others() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

impl Shared {
    /// Whether the host of a worker may end with its process, and its supervisor hear of it at once.
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

    /// Whether this may be heard now; if not, it waits.
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

    /// Lets through what waits, one by one, after what has just passed.
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
            // What needs nothing but an answer is in nobody's way.
            immediate = match &event {
                QueuedEvent::Call(_, call) => {
                    !matches!(call, Call::StartInstance(_) | Call::TerminateProcess(_))
                }
                QueuedEvent::Unexpected(_) => true,
                QueuedEvent::Exit(..) | QueuedEvent::Stop(_) => false,
            };
            match event {
                QueuedEvent::Exit(_, actor) => actor.do_send(WorkerCommand::Release),
                QueuedEvent::Call(call, what) => self.send_call(supervisor, call, &what),
                QueuedEvent::Unexpected(call) => self.send_noop(supervisor, call),
                QueuedEvent::Stop(reason) => self.stop(supervisor, reason),
            }
        }
    }

    /// A supervisor is over, and those who wait for an answer hear that.
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

    /// Something that may have been in the way is not any more.
    pub(super) fn resume_delivery(self: &Arc<Self>, supervisor: ProcessId) {
        let mut state = self.lock();
        let Some(known) = state.supervisor(supervisor) else { return };
        if known.is_receiving() && !known.queue.events.is_empty() {
            known.queue.delivering = true;
            drop(state);
            actix_rt::spawn(self.clone().deliver_queued(supervisor));
        }
    }

    /// Waits until the supervisor, if it is a dynamic one, has heard of everything that waits.
    pub(super) async fn wait_until_idle(self: &Arc<Self>, supervisor: ProcessId) {
        if !self.lock().is_idle(supervisor) {
            self.resume_delivery(supervisor);
            self.wait_until(|state| state.is_idle(supervisor)).await;
        }
    }

    /// Why a process ended, if the news of it waits for its supervisor.
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

    /// Whether something of a worker must not happen to its host directly: the supervisor would hear of it.
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
    /// Whether nothing waits for a supervisor, which static ones keep to themselves.
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
