//! tokio: an actor is a task with a channel. It has no supervision.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::workload;

pub(super) struct Tokio;

impl workload::Actors for Tokio {
    type Adder = UnboundedSender<AdderMessage>;
    type SpawnStop = Bare;
    type Restart = Replaced;
    type IdleActors = Bare;
}

/// Messages of the actor.
pub(super) enum AdderMessage {
    Add(u64),
    Ask(u64, oneshot::Sender<u64>),
    Panic,
}

/// Adds numbers until all senders are dropped.
async fn adder(mut mailbox: UnboundedReceiver<AdderMessage>, events: Option<UnboundedSender<()>>) {
    if let Some(events) = events {
        // An error means that the measurement is finished.
        let _ = events.send(());
    }
    let mut sum = 0;
    while let Some(message) = mailbox.recv().await {
        match message {
            AdderMessage::Add(number) => sum += number,
            AdderMessage::Ask(number, reply) => {
                sum += number;
                // An error means that the caller has dropped the receiver.
                let _ = reply.send(sum);
            }
            AdderMessage::Panic => panic!("boom"),
        }
    }
}

fn spawn(events: Option<UnboundedSender<()>>) -> (UnboundedSender<AdderMessage>, JoinHandle<()>) {
    let (actor, mailbox) = unbounded_channel();
    (actor, tokio::spawn(adder(mailbox, events)))
}

impl workload::Adder for UnboundedSender<AdderMessage> {
    async fn start() -> Self {
        spawn(None).0
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            assert!(self.send(AdderMessage::Add(1)).is_ok(), "the actor runs");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        assert!(self.send(AdderMessage::Ask(number, reply)).is_ok(), "the actor runs");
        answer.await.expect("the actor runs")
    }
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<(UnboundedSender<AdderMessage>, JoinHandle<()>)>);

impl workload::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let (actor, end) = spawn(None);
        drop(actor);
        end.await.expect("the actor does not panic");
    }
}

impl workload::IdleActors for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn add(&mut self, actors: usize) {
        workload::spawn_in_batches(&mut self.0, actors, || spawn(None)).await;
    }

    async fn stop(self) {
        let (actors, ends): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        drop(actors);
        for end in ends {
            end.await.expect("the actor does not panic");
        }
    }
}

/// An actor that the benchmark restarts.
pub(super) struct Replaced {
    current: UnboundedSender<AdderMessage>,
    task: JoinHandle<()>,
    sender: UnboundedSender<()>,
    events: UnboundedReceiver<()>,
}

impl workload::Steps for Replaced {
    async fn start() -> Self {
        let (sender, mut events) = unbounded_channel();
        let (current, task) = spawn(Some(sender.clone()));
        events.recv().await.expect("a sender exists");
        Self { current, task, sender, events }
    }

    async fn step(&mut self) {
        assert!(self.current.send(AdderMessage::Panic).is_ok(), "the actor runs");
        assert!((&mut self.task).await.is_err(), "the actor panics");
        (self.current, self.task) = spawn(Some(self.sender.clone()));
        self.events.recv().await.expect("a sender exists");
    }
}
