//! kameo: actors with built-in supervision.

use std::convert::Infallible;
use std::time::Duration;

use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::mailbox::unbounded;
use kameo::message::{Context, Message};
use kameo::supervision::RestartPolicy;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::workload;

pub(super) struct Kameo;

impl workload::Actors for Kameo {
    type Adder = ActorRef<Adder>;
    type SpawnStop = Bare;
    type Restart = Supervised;
    type IdleActors = Bare;
}

/// Adds numbers.
pub(super) struct Adder(u64);

impl Actor for Adder {
    type Args = Option<UnboundedSender<()>>;
    type Error = Infallible;

    async fn on_start(events: Self::Args, _: ActorRef<Self>) -> Result<Self, Infallible> {
        if let Some(events) = events {
            // An error means that the measurement is finished.
            let _ = events.send(());
        }
        Ok(Self(0))
    }
}

/// Adds a number. The reply is the sum.
pub(super) struct Add(u64);

impl Message<Add> for Adder {
    type Reply = u64;

    async fn handle(&mut self, Add(number): Add, _: &mut Context<Self, u64>) -> u64 {
        self.0 += number;
        self.0
    }
}

/// Makes the actor panic.
pub(super) struct Panic;

impl Message<Panic> for Adder {
    type Reply = ();

    async fn handle(&mut self, _: Panic, _: &mut Context<Self, ()>) {
        panic!("boom");
    }
}

fn spawn() -> ActorRef<Adder> {
    Adder::spawn_with_mailbox(None, unbounded())
}

impl workload::Adder for ActorRef<Adder> {
    async fn start() -> Self {
        spawn()
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            self.tell(Add(1)).send().await.expect("the actor runs");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.ask(Add(number)).send().await.expect("the actor runs")
    }
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<ActorRef<Adder>>);

impl workload::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let actor = spawn();
        actor.stop_gracefully().await.expect("the actor runs");
        actor.wait_for_shutdown().await;
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
        for actor in &self.0 {
            actor.stop_gracefully().await.expect("the actor runs");
        }
        for actor in &self.0 {
            actor.wait_for_shutdown().await;
        }
    }
}

/// Supervises one child.
struct Supervisor;

impl Actor for Supervisor {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

/// A child that kameo restarts. Its mailbox survives the restart.
pub(super) struct Supervised {
    child: ActorRef<Adder>,
    events: UnboundedReceiver<()>,
    _supervisor: ActorRef<Supervisor>,
}

impl workload::Steps for Supervised {
    async fn start() -> Self {
        let (sender, mut events) = unbounded_channel();
        let supervisor = Supervisor::spawn(());
        let child = Adder::supervise_with(&supervisor, move || Some(sender.clone()))
            .restart_policy(RestartPolicy::Permanent)
            .restart_limit(u32::MAX, Duration::from_millis(1))
            .spawn_with_mailbox(unbounded())
            .await;
        events.recv().await.expect("the child holds a sender");
        Self { child, events, _supervisor: supervisor }
    }

    async fn step(&mut self) {
        self.child.tell(Panic).send().await.expect("the mailbox survives the restart");
        self.events.recv().await.expect("the child holds a sender");
    }
}
