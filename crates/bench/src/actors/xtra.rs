//! xtra: small typed actors; who wants supervision writes it.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use xtra::{Actor, Address, Context, Handler, Mailbox};

use super::work;

pub(super) struct Xtra;

impl work::Actors for Xtra {
    type Adder = Address<Adder>;
    type Nursery = Bare;
    type Phoenix = Replaced;
    type Crowd = Bare;
}

/// Adds numbers.
pub(super) struct Adder {
    sum: u64,
    news: Option<UnboundedSender<()>>,
}

impl Actor for Adder {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        if let Some(news) = &self.news {
            // At the end of the program nobody listens any more.
            let _ = news.send(());
        }
        Ok(())
    }

    async fn stopped(self) {}
}

/// Adds this; the answer is the sum.
pub(super) struct Add(u64);

impl Handler<Add> for Adder {
    type Return = u64;

    async fn handle(&mut self, Add(number): Add, _: &mut Context<Self>) -> u64 {
        self.sum += number;
        self.sum
    }
}

/// Stops the actor.
pub(super) struct Stop;

impl Handler<Stop> for Adder {
    type Return = ();

    async fn handle(&mut self, _: Stop, context: &mut Context<Self>) {
        context.stop_self();
    }
}

/// Has the actor panic.
pub(super) struct Boom;

impl Handler<Boom> for Adder {
    type Return = ();

    async fn handle(&mut self, _: Boom, _: &mut Context<Self>) {
        panic!("boom");
    }
}

fn spawn() -> Address<Adder> {
    xtra::spawn_tokio(Adder { sum: 0, news: None }, Mailbox::unbounded())
}

impl work::Adder for Address<Adder> {
    async fn start() -> Self {
        spawn()
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            let _answer = self.send(Add(1)).detach().await.expect("it lives");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.send(Add(number)).await.expect("it lives")
    }
}

async fn stop(actor: &Address<Adder>) {
    let _answer = actor.send(Stop).detach().await.expect("it lives");
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<Address<Adder>>);

impl work::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let actor = spawn();
        let end = actor.join();
        stop(&actor).await;
        end.await;
    }
}

impl work::Crowd for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn add(&mut self, actors: usize) {
        work::fill(&mut self.0, actors, spawn).await;
    }

    async fn stop(self) {
        let ends: Vec<_> = self.0.iter().map(Address::join).collect();
        for actor in &self.0 {
            stop(actor).await;
        }
        for end in ends {
            end.await;
        }
    }
}

/// An actor that is replaced by hand; its mailbox stays.
pub(super) struct Replaced {
    address: Address<Adder>,
    mailbox: Mailbox<Adder>,
    life: JoinHandle<()>,
    sender: UnboundedSender<()>,
    news: UnboundedReceiver<()>,
}

fn begin(mailbox: &Mailbox<Adder>, news: &UnboundedSender<()>) -> JoinHandle<()> {
    tokio::spawn(xtra::run(mailbox.clone(), Adder { sum: 0, news: Some(news.clone()) }))
}

impl work::Steps for Replaced {
    async fn start() -> Self {
        let (address, mailbox) = Mailbox::unbounded();
        let (sender, mut news) = unbounded_channel();
        let life = begin(&mailbox, &sender);
        news.recv().await.expect("there is a sender");
        Self { address, mailbox, life, sender, news }
    }

    async fn step(&mut self) {
        let _answer = self.address.send(Boom).detach().await.expect("its mailbox stays");
        assert!((&mut self.life).await.is_err(), "it panics");
        self.life = begin(&self.mailbox, &self.sender);
        self.news.recv().await.expect("there is a sender");
    }
}
