//! The actix actor that both plain actix and our supervisors run.

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Adds numbers.
pub(super) struct Adder {
    sum: u64,
    notifier: Option<Notifier>,
}

/// What an actor says of itself.
pub(super) enum ActorEvent {
    Started(Addr<Adder>),
    Dropped,
}

/// By what an actor tells that it is there, and that it is gone.
pub(super) struct Notifier {
    events: UnboundedSender<ActorEvent>,
    sends_start: bool,
}

impl Notifier {
    /// Of an actor that says both.
    pub(super) fn with_start(events: &UnboundedSender<ActorEvent>) -> Self {
        Self { events: events.clone(), sends_start: true }
    }

    /// Of an actor whose address is known to whoever started it.
    pub(super) fn drop_only(events: &UnboundedSender<ActorEvent>) -> Self {
        Self { events: events.clone(), sends_start: false }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // At the end of the program nobody listens any more.
        let _ = self.events.send(ActorEvent::Dropped);
    }
}

/// Skips to the next address.
pub(super) async fn next_start(events: &mut UnboundedReceiver<ActorEvent>) -> Addr<Adder> {
    loop {
        if let ActorEvent::Started(address) = events.recv().await.expect("a sender exists") {
            return address;
        }
    }
}

/// Skips to the next end.
pub(super) async fn next_drop(events: &mut UnboundedReceiver<ActorEvent>) {
    while !matches!(events.recv().await.expect("a sender exists"), ActorEvent::Dropped) {}
}

impl Adder {
    pub(super) fn new(notifier: Option<Notifier>) -> Self {
        Self { sum: 0, notifier }
    }
}

impl Actor for Adder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(notifier) = self.notifier.as_ref().filter(|notifier| notifier.sends_start) {
            let _ = notifier.events.send(ActorEvent::Started(ctx.address()));
        }
    }
}

/// Adds this; the answer is the sum.
pub(super) struct Add(pub(super) u64);

impl Message for Add {
    type Result = u64;
}

impl Handler<Add> for Adder {
    type Result = u64;

    fn handle(&mut self, Add(number): Add, _: &mut Context<Self>) -> u64 {
        self.sum += number;
        self.sum
    }
}

/// Stops the actor.
pub(super) struct Stop;

impl Message for Stop {
    type Result = ();
}

impl Handler<Stop> for Adder {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// Has the actor panic.
pub(super) struct Panic;

impl Message for Panic {
    type Result = ();
}

impl Handler<Panic> for Adder {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("boom");
    }
}
