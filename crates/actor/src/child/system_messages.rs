//! The handling of system messages (OTP: `sys:handle_system_msg`).

use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, ActorFuture, Context};

use crate::cell::{ActorCell, StateFn, SystemMessage, TraceKind};

/// How many system messages an actor handles in one poll before it goes on with its mailbox.
const TURN_BUDGET: usize = 64;

/// Handles the queued system messages of an actor, at most `TURN_BUDGET` at a time. Returns whether the actor is suspended
/// then.
pub(crate) fn handle_system_messages<A: Actor<Context = Context<A>>>(
    cell: &Arc<ActorCell>,
    actor: &mut A,
    context: &mut Context<A>,
) -> bool {
    for _ in 0..TURN_BUDGET {
        let Some(message) = cell.pop_system_message() else { return cell.is_suspended() };
        match message {
            SystemMessage::Suspend(reply) if reply.is_closed() => {}
            // An actor that is stopping must be able to run. The caller waits for its exit.
            SystemMessage::Suspend(_) if cell.is_stop_requested() => {}
            SystemMessage::Suspend(reply) => {
                cell.set_suspended(true);
                cell.trace(|| TraceKind::Suspended);
                // An error means that the caller dropped its future. Nothing is left to do.
                let _ = reply.send(());
            }
            SystemMessage::Resume => {
                cell.set_suspended(false);
                cell.trace(|| TraceKind::Resumed);
            }
            SystemMessage::StateFn(function) => {
                if let Ok(function) = function.downcast::<StateFn<A>>() {
                    function(actor, context);
                }
            }
        }
    }
    // More may be queued: they are handled in the next poll.
    cell.wake();
    cell.is_suspended()
}

/// A future that the actor waits for until it is resumed. It handles system messages meanwhile.
pub(crate) struct Suspended(pub(crate) Arc<ActorCell>);

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Suspended {
    type Output = ();

    fn poll(
        self: StdPin<&mut Self>,
        actor: &mut A,
        context: &mut Context<A>,
        _: &mut TaskContext<'_>,
    ) -> Poll<()> {
        // A resume is a system message, which wakes the task.
        if handle_system_messages(&self.0, actor, context) { Poll::Pending } else { Poll::Ready(()) }
    }
}
