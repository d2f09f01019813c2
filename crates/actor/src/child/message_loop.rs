//! Takes messages from the mailbox and calls the actor's handlers.

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

/// Maximum number of messages of actix's queue that are dropped one by one when the actor exits.
const MAX_DRAINED: usize = 65_536;

/// An actor future that dispatches messages, alternately from both queues.
///
/// actix reads the mailbox of a context without end while messages come, so that no other actor of the arbiter
/// runs and a kill has no effect. So that mailbox stays empty: the addresses of the context lead to this
/// future.
pub(crate) struct MessageLoop<A: Actor<Context = Context<A>>> {
    mailbox: Arc<Mailbox<A>>,
    /// `None` only while this is dropped.
    receiver: Option<AddressReceiver<A>>,
    cell: Arc<ActorCell>,
    /// Receives the event that the incarnation is ready, before the first message is handled.
    ack: Option<EventSender>,
}

/// A context with its messages in the mailbox of the cell. With `ack`, the incarnation is ready when
/// `started()` and all that it waits for are done.
pub(crate) fn new_context<A: Actor<Context = Context<A>>>(
    cell: &Arc<ActorCell>,
    limit: usize,
    ack: Option<EventSender>,
) -> (Context<A>, Arc<Mailbox<A>>) {
    // The capacity is actix's default. No address is kept here: a child runs until it is stopped, not until its
    // last address is dropped.
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
    /// Dispatches one message; returns whether there was one.
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

    /// Calls a handler; returns whether the actor can continue. A panic is caught here, because unwinding
    /// actix's large frames costs more than many messages. The task of the actor reads the reason.
    fn handle(&self, context: &mut Context<A>, code: impl FnOnce(&mut Context<A>)) -> bool {
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| code(context))) else { return true };
        if context.state() != ActorState::Running {
            // `ctx.stop()` would ask `stopping()`, which may refuse; a panic must not be refused.
            resume_unwind(payload);
        }
        self.cell.poison(reason(payload));
        context.wait(wrap_future(pending::<()>()));
        false
    }

    /// Reads the queue of actix only when it has woken the actor: a read costs as much as a message.
    fn receive(&mut self) -> Option<Envelope<A>> {
        if !self.cell.take_addr_pending() {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.cell));
        match Pin::new(self.receiver.as_mut()?).poll_next(&mut TaskContext::from_waker(&waker)) {
            // The queue of actix wakes again only after it was read to its end.
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
        // The first poll comes when the actor waits for nothing, and before any other future of the actor.
        if let Some(ack) = this.ack.take() {
            this.cell.trace(|| TraceKind::Started);
            ack.send(Event::Started(this.cell.incarnation()));
        }
        if handle_system_messages(&this.cell, actor, context) {
            // No message is taken while the actor waits for something, so there is no other such future.
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

/// Ends the poll of an actor and wakes it again. The other actors of its arbiter are polled first.
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
