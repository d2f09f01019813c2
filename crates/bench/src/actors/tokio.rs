//! Bare tokio: a task and a channel are an actor; who wants supervision writes it.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::work;

pub(super) struct Tokio;

impl work::Actors for Tokio {
    type Adder = UnboundedSender<Said>;
    type Nursery = Bare;
    type Phoenix = Replaced;
    type Crowd = Bare;
}

/// What an actor is told.
pub(super) enum Said {
    Add(u64),
    Ask(u64, oneshot::Sender<u64>),
    Boom,
}

/// Adds numbers until nobody can tell it any.
async fn adder(mut mailbox: UnboundedReceiver<Said>, news: Option<UnboundedSender<()>>) {
    if let Some(news) = news {
        // At the end of the program nobody listens any more.
        let _ = news.send(());
    }
    let mut sum = 0;
    while let Some(said) = mailbox.recv().await {
        match said {
            Said::Add(number) => sum += number,
            Said::Ask(number, reply) => {
                sum += number;
                // Who does not wait any more does not need it.
                let _ = reply.send(sum);
            }
            Said::Boom => panic!("boom"),
        }
    }
}

fn spawn(news: Option<UnboundedSender<()>>) -> (UnboundedSender<Said>, JoinHandle<()>) {
    let (actor, mailbox) = unbounded_channel();
    (actor, tokio::spawn(adder(mailbox, news)))
}

impl work::Adder for UnboundedSender<Said> {
    async fn start() -> Self {
        spawn(None).0
    }

    async fn tell(&self, times: u64) {
        for _ in 0..times {
            assert!(self.send(Said::Add(1)).is_ok(), "it lives");
        }
    }

    async fn ask(&self, number: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        assert!(self.send(Said::Ask(number, reply)).is_ok(), "it lives");
        answer.await.expect("it lives")
    }
}

/// Actors without a supervisor.
#[derive(Default)]
pub(super) struct Bare(Vec<(UnboundedSender<Said>, JoinHandle<()>)>);

impl work::Steps for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn step(&mut self) {
        let (actor, end) = spawn(None);
        drop(actor);
        end.await.expect("it does not panic");
    }
}

impl work::Crowd for Bare {
    async fn start() -> Self {
        Self::default()
    }

    async fn add(&mut self, actors: usize) {
        work::fill(&mut self.0, actors, || spawn(None)).await;
    }

    async fn stop(self) {
        let (actors, ends): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        drop(actors);
        for end in ends {
            end.await.expect("it does not panic");
        }
    }
}

/// An actor that is replaced by hand.
pub(super) struct Replaced {
    present: UnboundedSender<Said>,
    life: JoinHandle<()>,
    sender: UnboundedSender<()>,
    news: UnboundedReceiver<()>,
}

impl work::Steps for Replaced {
    async fn start() -> Self {
        let (sender, mut news) = unbounded_channel();
        let (present, life) = spawn(Some(sender.clone()));
        news.recv().await.expect("there is a sender");
        Self { present, life, sender, news }
    }

    async fn step(&mut self) {
        assert!(self.present.send(Said::Boom).is_ok(), "it lives");
        assert!((&mut self.life).await.is_err(), "it panics");
        (self.present, self.life) = spawn(Some(self.sender.clone()));
        self.news.recv().await.expect("there is a sender");
    }
}
