//! ractor: actors linked to a supervisor, which gets their exits as events and restarts them in its handler.

use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::workload;

pub(super) struct Ractor;

impl workload::Actors for Ractor {
    type Adder = ActorRef<AdderMessage>;
    type SpawnStop = Bare;
    type Restart = Supervised;
    type IdleActors = Bare;
}

/// The same with a supervisor. Only start and stop differ.
pub(super) struct RactorLinked;

impl workload::Actors for RactorLinked {
    type Adder = ActorRef<AdderMessage>;
    type SpawnStop = Linked;
    type Restart = Supervised;
    type IdleActors = Bare;
}

/// Adds numbers.
pub(super) struct Adder;

/// Messages of the actor.
pub(super) enum AdderMessage {
    Add(u64),
    Ask(u64, RpcReplyPort<u64>),
    Panic,
}

impl Actor for Adder {
    type Msg = AdderMessage;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<AdderMessage>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<AdderMessage>,
        message: AdderMessage,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            AdderMessage::Add(number) => *sum += number,
            AdderMessage::Ask(number, reply) => {
                *sum += number;
                reply.send(*sum)?;
            }
            AdderMessage::Panic => panic!("boom"),
        }
        Ok(())
    }
}

async fn spawn() -> (ActorRef<AdderMessage>, JoinHandle<()>) {
    Adder::spawn(None, Adder, ()).await.expect("the actor starts")
}

impl workload::Adder for ActorRef<AdderMessage> {
    async fn start() -> Self {
        spawn().await.0
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            self.cast(AdderMessage::Add(1)).expect("the actor runs");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        call!(self, AdderMessage::Ask, number).expect("the actor runs")
    }
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<(ActorRef<AdderMessage>, JoinHandle<()>)>);

impl workload::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let (actor, end) = spawn().await;
        actor.stop(None);
        end.await.expect("the actor does not panic");
    }
}

impl workload::IdleActors for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn add(&mut self, actors: usize) {
        self.0.reserve_exact(actors);
        for _ in 0..actors {
            self.0.push(spawn().await);
        }
    }

    async fn stop(self) {
        self.0.iter().for_each(|(actor, _)| actor.stop(None));
        for (_, end) in self.0 {
            end.await.expect("the actor does not panic");
        }
    }
}

/// Actors linked to a supervisor that gets their starts and exits, as every actor of Impresario is.
pub(super) struct Linked(ActorRef<()>);

/// Ignores the events of its children.
struct Parent;

impl Actor for Parent {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

impl workload::Steps for Linked {
    async fn start() -> Self {
        Self(Actor::spawn(None, Parent, ()).await.expect("the actor starts").0)
    }

    async fn step(&mut self) {
        let (actor, end) =
            Adder::spawn_linked(None, Adder, (), self.0.get_cell()).await.expect("the actor starts");
        actor.stop(None);
        end.await.expect("the actor does not panic");
    }
}

/// Restarts its only child.
struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    type State = UnboundedSender<ActorRef<AdderMessage>>;
    type Arguments = UnboundedSender<ActorRef<AdderMessage>>;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        events: UnboundedSender<ActorRef<AdderMessage>>,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (child, _) = Adder::spawn_linked(None, Adder, (), myself.get_cell()).await?;
        events.send(child)?;
        Ok(events)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        events: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            let (child, _) = Adder::spawn_linked(None, Adder, (), myself.get_cell()).await?;
            events.send(child)?;
        }
        Ok(())
    }
}

/// A child that the event handler of its supervisor restarts.
pub(super) struct Supervised {
    current: ActorRef<AdderMessage>,
    events: UnboundedReceiver<ActorRef<AdderMessage>>,
    _supervisor: ActorRef<()>,
}

impl workload::Steps for Supervised {
    async fn start() -> Self {
        let (sender, mut events) = unbounded_channel();
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, sender).await.expect("the actor starts");
        let current = events.recv().await.expect("the supervisor holds a sender");
        Self { current, events, _supervisor: supervisor }
    }

    async fn step(&mut self) {
        self.current.cast(AdderMessage::Panic).expect("the actor runs");
        self.current = self.events.recv().await.expect("the supervisor holds a sender");
    }
}
