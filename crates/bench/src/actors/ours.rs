//! Impresario: every actor is under a supervisor and is addressed by a reference that follows restarts.

use std::time::Duration;

use actix::Addr;
use impresario::actor::{ActorRef, DynamicRef, DynamicSupervisor, Tree};
use impresario::prelude::{ChildRef, ChildSpec, Intensity, Strategy, Supervisor};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::adder::{ActorEvent, Add, Adder, Notifier, Panic, Stop, next_drop, next_start};
use super::workload;

/// A restart limit that is never reached.
const INTENSITY: Intensity = Intensity::new(1_000, Duration::from_millis(1));

pub(super) struct Ours;

impl workload::Actors for Ours {
    type Adder = Child;
    type SpawnStop = Children;
    type Restart = Restarted;
    type IdleActors = Children;
}

/// A tree with one child. Its reports are discarded, as those of the peers are.
async fn tree(child: ChildSpec) -> Tree {
    let supervisor = Supervisor::new(Strategy::OneForOne)
        .intensity(INTENSITY)
        .logger(Logger::root(Discard, o!()))
        .child(child);
    supervisor.start().await.expect("the tree starts")
}

/// One child with its reference.
pub(super) struct Child(ChildRef<Adder>);

impl Child {
    fn current(&self) -> ActorRef<Adder> {
        self.0.actor().expect("the tree has started")
    }
}

impl workload::Adder for Child {
    async fn start() -> Self {
        let name = ChildRef::new();
        tree(name.child_spec("adder", |_| Ok(Adder::new(None)))).await;
        Self(name)
    }

    async fn tell(&self, times: u64) {
        // One lookup per burst: the child cannot restart before this task yields.
        let child = self.current();
        for _ in 0..times {
            child.cast(Add(1)).expect("the actor runs and a burst fits into its mailbox");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        self.0.call(Add(number)).await.expect("the actor runs")
    }
}

/// Temporary children of a dynamic supervisor.
pub(super) struct Children {
    tree: Tree,
    name: DynamicRef<Notifier>,
    sender: UnboundedSender<ActorEvent>,
    events: UnboundedReceiver<ActorEvent>,
    addresses: Vec<Addr<Adder>>,
}

impl Children {
    async fn new() -> Self {
        let name = DynamicRef::new();
        let spec =
            name.child_spec("adders", DynamicSupervisor::new(|_, notifier| Ok(Adder::new(Some(notifier)))));
        let tree = tree(spec).await;
        let (sender, events) = unbounded_channel();
        Self { tree, name, sender, events, addresses: Vec::new() }
    }

    fn spawn(&self) {
        assert!(self.name.start(Notifier::with_start(&self.sender)).is_ok(), "the supervisor runs");
    }
}

impl workload::Steps for Children {
    async fn start() -> Self {
        Self::new().await
    }

    async fn step(&mut self) {
        self.spawn();
        next_start(&mut self.events).await.do_send(Stop);
        next_drop(&mut self.events).await;
    }
}

impl workload::IdleActors for Children {
    async fn start() -> Self {
        Self::new().await
    }

    async fn add(&mut self, actors: usize) {
        self.addresses.reserve_exact(actors);
        let wanted = self.addresses.len() + actors;
        while self.addresses.len() < wanted {
            let now = workload::MAX_STARTS_IN_PROGRESS.min(wanted - self.addresses.len());
            (0..now).for_each(|_| self.spawn());
            for _ in 0..now {
                self.addresses.push(next_start(&mut self.events).await);
            }
        }
    }

    async fn stop(mut self) {
        self.tree.stop();
        for _ in &self.addresses {
            next_drop(&mut self.events).await;
        }
        self.tree.stopped().await;
    }
}

/// One child that is restarted.
pub(super) struct Restarted {
    name: ChildRef<Adder>,
    events: UnboundedReceiver<ActorEvent>,
}

impl workload::Steps for Restarted {
    async fn start() -> Self {
        let (sender, mut events) = unbounded_channel();
        let name = ChildRef::new();
        tree(name.child_spec("adder", move |_| Ok(Adder::new(Some(Notifier::with_start(&sender)))))).await;
        next_start(&mut events).await;
        Self { name, events }
    }

    async fn step(&mut self) {
        self.name.addr().expect("the tree has started").do_send(Panic);
        next_start(&mut self.events).await;
    }
}
