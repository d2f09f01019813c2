//! xtra: small typed actors without supervision.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use xtra::{Actor, Address, Context, Handler, Mailbox};

use super::workload;

pub(super) struct Xtra;

impl workload::Actors for Xtra {
    type Adder = Address<Adder>;
    type SpawnStop = Bare;
    type Restart = Replaced;
    type IdleActors = Bare;
}

/// Adds numbers.
pub(super) struct Adder {
    sum: u64,
    events: Option<UnboundedSender<()>>,
}

impl Actor for Adder {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        if let Some(events) = &self.events {
            // An error means that the measurement is finished.
            let _ = events.send(());
        }
        Ok(())
    }

    async fn stopped(self) {}
}

/// Adds a number. The reply is the sum.
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

/// Makes the actor panic.
pub(super) struct Panic;

impl Handler<Panic> for Adder {
    type Return = ();

    async fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("boom");
    }
}

fn spawn() -> Address<Adder> {
    xtra::spawn_tokio(Adder { sum: 0, events: None }, Mailbox::unbounded())
}

impl workload::Adder for Address<Adder> {
    async fn start() -> Self {
        spawn()
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            let _answer = self.send(Add(1)).detach().await.expect("the actor runs");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.send(Add(number)).await.expect("the actor runs")
    }
}

async fn stop(actor: &Address<Adder>) {
    let _answer = actor.send(Stop).detach().await.expect("the actor runs");
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<Address<Adder>>);

impl workload::Steps for Bare {
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

impl workload::IdleActors for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn add(&mut self, actors: usize) {
        workload::spawn_in_batches(&mut self.0, actors, spawn).await;
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

/// An actor that the benchmark restarts. Its mailbox survives the restart.
pub(super) struct Replaced {
    address: Address<Adder>,
    mailbox: Mailbox<Adder>,
    task: JoinHandle<()>,
    sender: UnboundedSender<()>,
    events: UnboundedReceiver<()>,
}

fn start_in(mailbox: &Mailbox<Adder>, events: &UnboundedSender<()>) -> JoinHandle<()> {
    tokio::spawn(xtra::run(mailbox.clone(), Adder { sum: 0, events: Some(events.clone()) }))
}

impl workload::Steps for Replaced {
    async fn start() -> Self {
        let (address, mailbox) = Mailbox::unbounded();
        let (sender, mut events) = unbounded_channel();
        let task = start_in(&mailbox, &sender);
        events.recv().await.expect("a sender exists");
        Self { address, mailbox, task, sender, events }
    }

    async fn step(&mut self) {
        let _answer = self.address.send(Panic).detach().await.expect("the mailbox survives the restart");
        assert!((&mut self.task).await.is_err(), "the actor panics");
        self.task = start_in(&self.mailbox, &self.sender);
        self.events.recv().await.expect("a sender exists");
    }
}
