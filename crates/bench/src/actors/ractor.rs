//! ractor: actors with links to a supervisor that is told of their ends and restarts them by hand.

use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::work;

pub(super) struct Ractor;

impl work::Actors for Ractor {
    type Adder = ActorRef<Said>;
    type Nursery = Bare;
    type Phoenix = Supervised;
    type Crowd = Bare;
}

/// The same with a supervisor: it differs in how it starts and stops only.
pub(super) struct RactorLinked;

impl work::Actors for RactorLinked {
    type Adder = ActorRef<Said>;
    type Nursery = Linked;
    type Phoenix = Supervised;
    type Crowd = Bare;
}

/// Adds numbers.
pub(super) struct Adder;

/// What it is told.
pub(super) enum Said {
    Add(u64),
    Ask(u64, RpcReplyPort<u64>),
    Boom,
}

impl Actor for Adder {
    type Msg = Said;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Said>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Said>, said: Said, sum: &mut u64) -> Result<(), ActorProcessingErr> {
        match said {
            Said::Add(number) => *sum += number,
            Said::Ask(number, reply) => {
                *sum += number;
                reply.send(*sum)?;
            }
            Said::Boom => panic!("boom"),
        }
        Ok(())
    }
}

async fn spawn() -> (ActorRef<Said>, JoinHandle<()>) {
    Adder::spawn(None, Adder, ()).await.expect("it starts")
}

impl work::Adder for ActorRef<Said> {
    async fn start() -> Self {
        spawn().await.0
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            self.cast(Said::Add(1)).expect("it lives");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        call!(self, Said::Ask, number).expect("it lives")
    }
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<(ActorRef<Said>, JoinHandle<()>)>);

impl work::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let (actor, end) = spawn().await;
        actor.stop(None);
        end.await.expect("it does not panic");
    }
}

impl work::Crowd for Bare {
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
            end.await.expect("it does not panic");
        }
    }
}

/// Actors linked to a supervisor that hears of their starts and ends: what ours always do.
pub(super) struct Linked(ActorRef<()>);

/// Hears of its children, and leaves it at that.
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

impl work::Steps for Linked {
    async fn start() -> Self {
        Self(Actor::spawn(None, Parent, ()).await.expect("it starts").0)
    }

    async fn step(&mut self) {
        let (actor, end) = Adder::spawn_linked(None, Adder, (), self.0.get_cell()).await.expect("it starts");
        actor.stop(None);
        end.await.expect("it does not panic");
    }
}

/// Restarts its only child.
struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    type State = UnboundedSender<ActorRef<Said>>;
    type Arguments = UnboundedSender<ActorRef<Said>>;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        news: UnboundedSender<ActorRef<Said>>,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (child, _) = Adder::spawn_linked(None, Adder, (), myself.get_cell()).await?;
        news.send(child)?;
        Ok(news)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        news: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(..) = event {
            let (child, _) = Adder::spawn_linked(None, Adder, (), myself.get_cell()).await?;
            news.send(child)?;
        }
        Ok(())
    }
}

/// A child that is restarted by its supervisor's event handler.
pub(super) struct Supervised {
    present: ActorRef<Said>,
    news: UnboundedReceiver<ActorRef<Said>>,
    _supervisor: ActorRef<()>,
}

impl work::Steps for Supervised {
    async fn start() -> Self {
        let (sender, mut news) = unbounded_channel();
        let (supervisor, _) = Supervisor::spawn(None, Supervisor, sender).await.expect("it starts");
        let present = news.recv().await.expect("the supervisor holds a sender");
        Self { present, news, _supervisor: supervisor }
    }

    async fn step(&mut self) {
        self.present.cast(Said::Boom).expect("it lives");
        self.present = self.news.recv().await.expect("the supervisor holds a sender");
    }
}
