//! Takes messages from the door to the actor.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use actix::dev::channel::{AddressReceiver, channel};
use actix::dev::{AsyncContextParts, ContextParts, Envelope, EnvelopeProxy};
use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFuture, ActorState, Addr, AsyncContext, Context};
use futures::Stream;
use impresario_supervision::Event;

use crate::cell::mailbox::Mailbox;
use crate::cell::{ActorCell, TraceKind};
use crate::child::events::EventSender;
use crate::child::system_messages::{Suspended, handle_system_messages};
use crate::panic::{catch_panic, reason};

/// How many messages of actix's queue are dropped one by one when the actor exits.
const MAX_DRAINED: usize = 65_536;

/// An actor future that hands out the messages, from both queues by turns.
///
/// The context's own mailbox would be read without end while messages come, so that nothing else on the arbiter gets a
/// turn, a kill included. So that mailbox stays empty: the addresses of the context lead here.
pub(crate) struct MessageLoop<A: Actor<Context = Context<A>>> {
    mailbox: Arc<Mailbox<A>>,
    /// `None` only while this is dropped.
    receiver: Option<AddressReceiver<A>>,
    cell: Arc<ActorCell>,
    /// Who hears that the life is ready, before it handles anything.
    ack: Option<EventSender>,
}

/// A context whose messages wait at a door. With `ack`, the life is ready when `started()` and whatever it waits for are
/// done.
pub(crate) fn new_context<A: Actor<Context = Context<A>>>(
    cell: &Arc<ActorCell>,
    limit: usize,
    ack: Option<EventSender>,
) -> (Context<A>, Arc<Mailbox<A>>) {
    // The capacity is that of actix's own mailboxes. No address is kept: a child lives until it is told to end, not until
    // nobody can reach it any more.
    let (sender, receiver) = channel(16);
    let mut context = Context::new();
    *context.parts() = ContextParts::new(receiver.sender_producer());
    let mailbox = Mailbox::new(Addr::new(sender).downgrade(), limit);
    context.spawn(MessageLoop {
        mailbox: Arc::clone(&mailbox),
        receiver: Some(receiver),
        cell: Arc::clone(cell),
        ack,
    });
    (context, mailbox)
}

impl<A: Actor<Context = Context<A>>> MessageLoop<A> {
    /// Whether there was a message.
    fn dispatch_next(&mut self, actor: &mut A, context: &mut Context<A>) -> bool {
        let next = self.mailbox.pop();
        let found = next.is_some();
        if let Some(message) = next {
            self.cell.trace(|| TraceKind::Message(message.name()));
            if !self.handle(context, |context| message.handle(actor, context)) {
                return false;
            }
            if context.waiting() {
                return true;
            }
        }
        match self.receive() {
            Some(mut message) => {
                self.cell.trace(|| TraceKind::AddrMessage);
                self.handle(context, |context| message.handle(actor, context))
            }
            None => found,
        }
    }

    /// Whether the actor can go on. A panic is caught here, since each frame that it unwinds costs more than many messages,
    /// and actix has large ones; the task of the life finds the reason.
    fn handle(&self, context: &mut Context<A>, code: impl FnOnce(&mut Context<A>)) -> bool {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| code(context))) else { return true };
        if context.state() != ActorState::Running {
            // It would be asked whether it stops; only the panic itself gets past that.
            resume_unwind(payload);
        }
        self.cell.set_panic(reason(payload));
        context.wait(wrap_future(pending::<()>()));
        false
    }

    /// Looks at the queue of actix only when that has woken the life: a look costs as much as a message.
    fn receive(&mut self) -> Option<Envelope<A>> {
        if !self.cell.take_addr_pending() {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.cell));
        match Pin::new(self.receiver.as_mut()?).poll_next(&mut TaskContext::from_waker(&waker)) {
            // It wakes nobody before there was nothing more.
            Poll::Ready(message) => {
                self.cell.set_addr_pending();
                message
            }
            Poll::Pending => None,
        }
    }
}

impl<A: Actor<Context = Context<A>>> Drop for MessageLoop<A> {
    /// Drops the messages of actix's queue one by one. A destructor in a message may panic, and two panics at a time would
    /// abort the process.
    ///
    /// At most `MAX_DRAINED`: actix's queue is open meanwhile, and senders may push without end. Then the receiver is
    /// dropped, which closes the queue and drops the rest.
    fn drop(&mut self) {
        for _ in 0..MAX_DRAINED {
            let Some(message) = self.receive() else { break };
            let _ = catch_panic(move || drop(message));
        }
        let receiver = self.receiver.take();
        let _ = catch_panic(move || drop(receiver));
    }
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for MessageLoop<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        context: &mut Context<A>,
        _task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let this = self.get_mut();
        // It is polled for the first time when nothing is waited for, and before anything else that was begun.
        if let Some(ack) = this.ack.take() {
            this.cell.trace(|| TraceKind::Started);
            ack.send(Event::Started(this.cell.incarnation()));
        }
        if handle_system_messages(&this.cell, actor, context) {
            // Nothing is read while the actor waits for something, so there is no other such future.
            context.wait(Suspended(Arc::clone(&this.cell)));
        }
        loop {
            if context.waiting() {
                return Poll::Pending;
            }
            if !this.mailbox.consume_budget() {
                context.wait(Yield(false));
                return Poll::Pending;
            }
            if !this.dispatch_next(actor, context) {
                return Poll::Pending;
            }
        }
    }
}

/// Ends the turn of an actor. Its next one comes after everybody else's.
struct Yield(bool);

impl<A: Actor> ActorFuture<A> for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut A, _: &mut A::Context, task: &mut TaskContext<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        task.waker().wake_by_ref();
        Poll::Pending
    }
}
