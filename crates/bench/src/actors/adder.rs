//! The actix actor that both plain actix and the supervisors of Impresario run.

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Adds numbers.
pub(super) struct Adder {
    sum: u64,
    notifier: Option<Notifier>,
}

/// An event that an actor sends about itself.
pub(super) enum ActorEvent {
    Started(Addr<Adder>),
    Dropped,
}

/// Sends the start of an actor, if asked to, and its drop.
pub(super) struct Notifier {
    events: UnboundedSender<ActorEvent>,
    sends_start: bool,
}

impl Notifier {
    /// For an actor that sends both.
    pub(super) fn with_start(events: &UnboundedSender<ActorEvent>) -> Self {
        Self { events: events.clone(), sends_start: true }
    }

    /// For an actor with an address that its starter knows: only the drop.
    pub(super) fn drop_only(events: &UnboundedSender<ActorEvent>) -> Self {
        Self { events: events.clone(), sends_start: false }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // An error means that the measurement is finished.
        let _ = self.events.send(ActorEvent::Dropped);
    }
}

/// Waits for the next start and returns the address.
pub(super) async fn next_start(events: &mut UnboundedReceiver<ActorEvent>) -> Addr<Adder> {
    loop {
        if let ActorEvent::Started(address) = events.recv().await.expect("a sender exists") {
            return address;
        }
    }
}

/// Waits for the next drop.
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

/// Adds a number. The reply is the sum.
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

/// Makes the actor panic.
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
