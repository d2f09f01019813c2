//! actix without supervision.

use actix::{Actor as _, Addr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::adder::{ActorEvent, Add, Adder, Notifier, Panic, Stop, next_drop, next_start};
use super::workload;

pub(super) struct Actix;

impl workload::Actors for Actix {
    type Adder = Addr<Adder>;
    type SpawnStop = Bare;
    type Restart = Replaced;
    type IdleActors = Bare;
}

impl workload::Adder for Addr<Adder> {
    async fn start() -> Self {
        Adder::new(None).start()
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            self.do_send(Add(1));
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.send(Add(number)).await.expect("the actor runs")
    }
}

/// Actors that send an event when they are dropped, because actix has no exit notification.
pub(super) struct Bare {
    sender: UnboundedSender<ActorEvent>,
    events: UnboundedReceiver<ActorEvent>,
    addresses: Vec<Addr<Adder>>,
}

impl Bare {
    fn new() -> Self {
        let (sender, events) = unbounded_channel();
        Self { sender, events, addresses: Vec::new() }
    }
}

fn spawn(events: &UnboundedSender<ActorEvent>) -> Addr<Adder> {
    Adder::new(Some(Notifier::drop_only(events))).start()
}

impl workload::Steps for Bare {
    async fn start() -> Self {
        Self::new()
    }

    async fn step(&mut self) {
        spawn(&self.sender).do_send(Stop);
        next_drop(&mut self.events).await;
    }
}

impl workload::IdleActors for Bare {
    async fn start() -> Self {
        Self::new()
    }

    async fn add(&mut self, actors: usize) {
        let Self { sender, addresses, .. } = self;
        workload::spawn_in_batches(addresses, actors, || spawn(sender)).await;
    }

    async fn stop(mut self) {
        self.addresses.iter().for_each(|address| address.do_send(Stop));
        for _ in &self.addresses {
            next_drop(&mut self.events).await;
        }
    }
}

/// An actor that the benchmark restarts. Its exit is known by its drop.
pub(super) struct Replaced {
    current: Addr<Adder>,
    sender: UnboundedSender<ActorEvent>,
    events: UnboundedReceiver<ActorEvent>,
}

impl workload::Steps for Replaced {
    async fn start() -> Self {
        let (sender, mut events) = unbounded_channel();
        let current = Adder::new(Some(Notifier::with_start(&sender))).start();
        next_start(&mut events).await;
        Self { current, sender, events }
    }

    async fn step(&mut self) {
        self.current.do_send(Panic);
        next_drop(&mut self.events).await;
        self.current = Adder::new(Some(Notifier::with_start(&self.sender))).start();
        next_start(&mut self.events).await;
    }
}
