//! The exit of an actor: its reason, its mailbox, and the notification of links and monitors.

use std::future::Future;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use actix::Actor;
use impresario_supervision::ExitReason;
use tokio::sync::oneshot;

use crate::cell::control::ControlFlags;
use crate::cell::mailbox::{AnyMailbox, Mailbox};
use crate::cell::{ActorCell, ColdState, ExitListener, Pid, TraceKind};
use crate::panic::catch_panic;
use crate::sync::lock;

impl ActorCell {
    /// Sets the reason that the actor gives for its own exit, instead of `Normal` or `Shutdown`.
    pub(crate) fn set_exit_reason(&self, reason: ExitReason) {
        // An error means that the actor has exited already, with a reason.
        let _ = self.with_cold(|cold| cold.exit_reason_override = Some(reason));
    }

    /// Removes and returns the reason that the actor gave, if it did.
    pub(crate) fn take_exit_reason(&self) -> Option<ExitReason> {
        lock(&self.state).cold.as_mut()?.exit_reason_override.take()
    }

    /// The reason with which the actor exits if it stops now.
    pub(crate) fn pending_exit_reason(&self) -> ExitReason {
        let own = lock(&self.state).cold.as_ref().and_then(|cold| cold.exit_reason_override.clone());
        let stop = ControlFlags(self.flags.load(Ordering::Acquire)).stop();
        own.unwrap_or(if stop { ExitReason::Shutdown } else { ExitReason::Normal })
    }

    /// The reason of the exit; `None` before it.
    pub(crate) fn exit_reason(&self) -> Option<ExitReason> {
        lock(&self.state).exit_reason.as_deref().cloned()
    }

    /// Keeps the reason of a panic in a handler and sets `POISONED`. The actor's task ends the actor after this poll.
    pub(crate) fn poison(&self, reason: ExitReason) {
        // An error means that the actor has exited already.
        let _ = self.with_cold(|cold| cold.panic = Some(reason));
        self.set_poisoned();
    }

    /// Removes and returns the reason of the panic.
    pub(crate) fn take_panic(&self) -> Option<ExitReason> {
        lock(&self.state).cold.as_mut()?.panic.take()
    }

    /// Makes the actor reachable by its mailbox.
    pub(crate) fn set_mailbox(&self, mailbox: Arc<dyn AnyMailbox>) {
        lock(&self.state).mailbox = Some(mailbox);
    }

    /// The mailbox, if the actor is an `A` and runs.
    pub(crate) fn mailbox<A: Actor>(&self) -> Option<Arc<Mailbox<A>>> {
        let mailbox = lock(&self.state).mailbox.clone()?;
        mailbox.into_any().downcast().ok()
    }

    /// The number of messages in the mailbox.
    pub(crate) fn queued(&self) -> usize {
        let mailbox = lock(&self.state).mailbox.clone();
        mailbox.map_or(0, |mailbox| mailbox.queued())
    }

    /// Marks the actor as one that has a name or is in a group. Fails with the reason if it has exited.
    pub(crate) fn mark_registered(&self) -> Result<(), ExitReason> {
        self.with_cold(|cold| cold.registered = true)
    }

    /// Marks the actor as exited and closes its mailbox. Returns what [`ExitNotice::notify`] has to do; `None` if the
    /// actor had exited before, or if there is nothing to do.
    pub(crate) fn mark_exited(&self, reason: &ExitReason) -> Option<ExitNotice> {
        let (mailbox, cold) = {
            let mut state = lock(&self.state);
            if state.exit_reason.is_some() {
                return None;
            }
            state.exit_reason = Some(Box::new(reason.clone()));
            (state.mailbox.take(), state.cold.take())
        };
        // Outside of the lock: closing drops messages, and their destructors may run any code.
        if let Some(mailbox) = mailbox {
            mailbox.close();
        }
        cold.map(ExitNotice)
    }
}

/// What an actor that is marked as exited leaves behind: links and monitors to notify, system messages to drop.
#[must_use = "links and monitors wait for `notify`"]
pub(crate) struct ExitNotice(Box<ColdState>);

impl ExitNotice {
    /// Whether the actor has a name or is in a group. Both are to be removed before `notify`.
    pub(crate) fn is_registered(&self) -> bool {
        self.0.registered
    }

    /// Notifies links and monitors, drops the system messages, and ends the trace.
    pub(crate) fn notify(self, cell: &Arc<ActorCell>, reason: &ExitReason) {
        let ColdState { system_messages, links, trace, .. } = *self.0;
        links.notify_exit(cell, reason);
        for message in system_messages {
            // A destructor in a message may panic. That must not stop the exit.
            let _ = catch_panic(move || drop(message));
        }
        if let Some(sink) = trace {
            sink.record(Pid::of(cell), TraceKind::End(reason.clone()));
        }
    }
}

/// Waits for the exit of an actor. Dropped, it removes its exit listener.
pub(crate) struct ExitFuture {
    cell: Arc<ActorCell>,
    key: u64,
    exit: oneshot::Receiver<ExitReason>,
}

impl ExitFuture {
    /// `None` if the actor has exited.
    pub(crate) fn new(pid: &Pid) -> Option<Self> {
        let (listener, exit) = oneshot::channel();
        let key =
            pid.cell().with_links(|links| links.add_exit_listener(ExitListener::Future(listener))).ok()?;
        Some(Self { cell: Arc::clone(pid.cell()), key, exit })
    }
}

impl Future for ExitFuture {
    type Output = ExitReason;

    fn poll(mut self: StdPin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let exit = ready!(StdPin::new(&mut self.exit).poll(cx));
        // The cell has its exit reason before it drops its exit listeners.
        Poll::Ready(exit.unwrap_or_else(|_| self.cell.exit_reason().unwrap_or(ExitReason::NoProc)))
    }
}

impl Drop for ExitFuture {
    fn drop(&mut self) {
        // An error means that the actor has exited, and its exit listeners are dropped. A listener is dropped outside of
        // the lock: the sender in it wakes the task of this future.
        drop(self.cell.with_links(|links| links.remove_exit_listener(self.key)));
    }
}
