//! The actix actor that both plain actix and our supervisors run.

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Adds numbers.
pub(super) struct Adder {
    sum: u64,
    seat: Option<Seat>,
}

/// What an actor says of itself.
pub(super) enum News {
    Here(Addr<Adder>),
    Gone,
}

/// By what an actor tells that it is there, and that it is gone.
pub(super) struct Seat {
    news: UnboundedSender<News>,
    announces: bool,
}

impl Seat {
    /// Of an actor that says both.
    pub(super) fn announced(news: &UnboundedSender<News>) -> Self {
        Self { news: news.clone(), announces: true }
    }

    /// Of an actor whose address is known to whoever started it.
    pub(super) fn known(news: &UnboundedSender<News>) -> Self {
        Self { news: news.clone(), announces: false }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // At the end of the program nobody listens any more.
        let _ = self.news.send(News::Gone);
    }
}

/// Skips to the next address.
pub(super) async fn here(news: &mut UnboundedReceiver<News>) -> Addr<Adder> {
    loop {
        if let News::Here(address) = news.recv().await.expect("somebody holds a sender") {
            return address;
        }
    }
}

/// Skips to the next end.
pub(super) async fn gone(news: &mut UnboundedReceiver<News>) {
    while !matches!(news.recv().await.expect("somebody holds a sender"), News::Gone) {}
}

impl Adder {
    pub(super) fn new(seat: Option<Seat>) -> Self {
        Self { sum: 0, seat }
    }
}

impl Actor for Adder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(seat) = self.seat.as_ref().filter(|seat| seat.announces) {
            let _ = seat.news.send(News::Here(ctx.address()));
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
pub(super) struct Boom;

impl Message for Boom {
    type Result = ();
}

impl Handler<Boom> for Adder {
    type Result = ();

    fn handle(&mut self, _: Boom, _: &mut Context<Self>) {
        panic!("boom");
    }
}
