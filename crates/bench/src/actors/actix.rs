//! Plain actix: nobody supervises.

use actix::{Actor as _, Addr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::adder::{Add, Adder, Boom, News, Seat, Stop, gone, here};
use super::work;

pub(super) struct Actix;

impl work::Actors for Actix {
    type Adder = Addr<Adder>;
    type Nursery = Bare;
    type Phoenix = Replaced;
    type Crowd = Bare;
}

impl work::Adder for Addr<Adder> {
    async fn start() -> Self {
        Adder::new(None).start()
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            self.do_send(Add(1));
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.send(Add(number)).await.expect("it lives")
    }
}

/// Actors that say when they are gone: actix does not.
pub(super) struct Bare {
    sender: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
    addresses: Vec<Addr<Adder>>,
}

impl Bare {
    fn new() -> Self {
        let (sender, news) = unbounded_channel();
        Self { sender, news, addresses: Vec::new() }
    }
}

fn spawn(news: &UnboundedSender<News>) -> Addr<Adder> {
    Adder::new(Some(Seat::known(news))).start()
}

impl work::Steps for Bare {
    async fn start() -> Self {
        Self::new()
    }

    async fn step(&mut self) {
        spawn(&self.sender).do_send(Stop);
        gone(&mut self.news).await;
    }
}

impl work::Crowd for Bare {
    async fn start() -> Self {
        Self::new()
    }

    async fn add(&mut self, actors: usize) {
        let Self { sender, addresses, .. } = self;
        work::fill(addresses, actors, || spawn(sender)).await;
    }

    async fn stop(mut self) {
        self.addresses.iter().for_each(|address| address.do_send(Stop));
        for _ in &self.addresses {
            gone(&mut self.news).await;
        }
    }
}

/// An actor that is replaced by hand: its end is seen because it is dropped.
pub(super) struct Replaced {
    present: Addr<Adder>,
    sender: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
}

impl work::Steps for Replaced {
    async fn start() -> Self {
        let (sender, mut news) = unbounded_channel();
        let present = Adder::new(Some(Seat::announced(&sender))).start();
        here(&mut news).await;
        Self { present, sender, news }
    }

    async fn step(&mut self) {
        self.present.do_send(Boom);
        gone(&mut self.news).await;
        self.present = Adder::new(Some(Seat::announced(&self.sender))).start();
        here(&mut self.news).await;
    }
}
