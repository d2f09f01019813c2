//! System messages: how they are queued, and how a supervisor is asked for its children.

use std::sync::atomic::Ordering;

use actix::Actor;

use crate::cell::control::SYSTEM_PENDING;
use crate::cell::{ActorCell, SnapshotFn, StateFn, SystemMessage};
use crate::sync::lock;

/// How many system messages may be queued for an actor. Each has a caller that waits, so more are a sign of a stuck
/// actor.
const MAX_SYSTEM_MESSAGES: usize = 64;

impl SystemMessage {
    /// Runs this function on the state.
    pub(crate) fn state_fn<A: Actor>(
        function: impl FnOnce(&mut A, &mut A::Context) + Send + 'static,
    ) -> Self {
        let function: StateFn<A> = Box::new(function);
        Self::StateFn(Box::new(function))
    }
}

impl ActorCell {
    /// Queues a system message and wakes the task; `false` if `MAX_SYSTEM_MESSAGES` are queued. It is dropped if the actor
    /// has exited.
    pub(crate) fn push_system_message(&self, message: SystemMessage) -> bool {
        let mut full = false;
        let mut message = Some(message);
        self.enqueue(SYSTEM_PENDING, |cold| {
            full = cold.system_messages.len() >= MAX_SYSTEM_MESSAGES;
            if !full {
                cold.system_messages.extend(message.take());
            }
            !full
        });
        // A refused message is dropped here, outside of the lock: its drop wakes the caller, and may run any code.
        !full
    }

    /// Queues a system message of the actor itself, of which there is one at most. It is never refused, and is handled
    /// before the queued ones, which may be more than the budget of one poll.
    pub(crate) fn push_front_system_message(&self, message: SystemMessage) {
        self.enqueue(SYSTEM_PENDING, |cold| {
            cold.system_messages.push_front(message);
            true
        });
    }

    /// Queues a resume. It is never refused: two in a row are one.
    pub(crate) fn resume(&self) {
        self.enqueue(SYSTEM_PENDING, |cold| {
            if !matches!(cold.system_messages.back(), Some(SystemMessage::Resume)) {
                cold.system_messages.push_back(SystemMessage::Resume);
            }
            true
        });
    }

    /// Takes the next system message.
    pub(crate) fn pop_system_message(&self) -> Option<SystemMessage> {
        if !self.has_system_messages() {
            return None;
        }
        let mut state = lock(&self.state);
        let system_messages = &mut state.cold.as_mut()?.system_messages;
        let message = system_messages.pop_front();
        if system_messages.is_empty() {
            self.flags.fetch_and(!SYSTEM_PENDING, Ordering::AcqRel);
        }
        message
    }

    pub(crate) fn has_system_messages(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SYSTEM_PENDING != 0
    }

    /// Sets how this actor, a supervisor, is asked for its children.
    pub(crate) fn set_snapshot_fn(&self, snapshot_fn: SnapshotFn) {
        // An error means that the actor has exited: it is not asked any more.
        let _ = self.with_cold(|cold| cold.snapshot_fn = Some(snapshot_fn));
    }

    pub(crate) fn snapshot_fn(&self) -> Option<SnapshotFn> {
        lock(&self.state).cold.as_ref()?.snapshot_fn
    }
}
