//! The work, the same for all: a framework only says how it does each step.

use std::time::{Duration, Instant};

use tokio::task::yield_now;

use super::{Work, memory};
use crate::error::Error;

/// How many messages are told before the producer yields.
const BURST: u64 = 256;
/// How many steps are done between two looks at the clock.
const BATCH: u32 = 64;
/// How many idle actors are measured.
const IDLE: usize = 100_000;
/// How many actors are there before: what is made once, and by the first ones, is not theirs.
const IDLE_BEFORE: usize = 1_000;
/// How many actors are stopped at once.
const STOPPED: u32 = 80_000;

/// One framework.
pub(super) trait Actors {
    type Adder: Adder;
    type Nursery: Nursery;
    type Phoenix: Phoenix;
    type Crowd: Crowd;
}

/// One actor that adds numbers, addressed as its users would.
pub(super) trait Adder {
    async fn start() -> Self;
    /// Tells it the number 1 this many times. Its mailbox has no limit.
    async fn tell(&self, times: u64);
    /// Tells it a number; answers with the sum.
    async fn ask(&self, number: u64) -> u64;
}

/// Where actors are started and stopped.
pub(super) trait Nursery {
    async fn start() -> Self;
    /// Starts an actor, stops it when it runs, and waits for its end.
    async fn life(&mut self);
}

/// One actor that is replaced when it panics.
pub(super) trait Phoenix {
    async fn start() -> Self;
    /// Has it panic, and waits until the replacement runs.
    async fn restart(&mut self);
}

/// Actors that do nothing, and can all be told something.
pub(super) trait Crowd {
    async fn start() -> Self;
    /// Starts this many, and waits until they run.
    async fn add(&mut self, actors: usize);
    /// Tells all to stop, and waits until all have ended.
    async fn stop(self);
}

/// Does the work; its figure.
pub(super) async fn run<A: Actors>(work: Work, time: Duration) -> Result<f64, Error> {
    match work {
        Work::Tell => Ok(tell::<A::Adder>(time).await),
        Work::Ask => {
            let (adder, mut sum) = (A::Adder::start().await, 0);
            let ask = async || {
                sum += 1;
                assert_eq!(adder.ask(1).await, sum, "an answer is wrong");
            };
            Ok(rate(time, ask).await)
        }
        Work::SpawnStop => {
            let mut nursery = A::Nursery::start().await;
            Ok(rate(time, async || nursery.life().await).await)
        }
        Work::Restart => {
            let mut phoenix = A::Phoenix::start().await;
            Ok(rate(time, async || phoenix.restart().await).await)
        }
        Work::IdleMemory => {
            let mut crowd = A::Crowd::start().await;
            crowd.add(IDLE_BEFORE).await;
            let before = memory::resident()?;
            crowd.add(IDLE).await;
            Ok(memory::resident()?.saturating_sub(before) as f64 / IDLE as f64)
        }
        Work::Shutdown => {
            let mut crowd = A::Crowd::start().await;
            crowd.add(STOPPED as usize).await;
            let begin = Instant::now();
            crowd.stop().await;
            Ok(f64::from(STOPPED) / begin.elapsed().as_secs_f64())
        }
    }
}

/// Messages that were told and handled in a second.
async fn tell<A: Adder>(time: Duration) -> f64 {
    let adder = A::start().await;
    let mut told = 0;
    let mut burst = async || {
        adder.tell(BURST).await;
        told += BURST;
        yield_now().await;
    };
    let begin = Instant::now();
    while begin.elapsed() < time {
        burst().await;
    }
    // What is still in the mailbox is handled before this is answered.
    assert_eq!(adder.ask(0).await, told, "messages are missing");
    told as f64 / begin.elapsed().as_secs_f64()
}

/// Steps in a second.
async fn rate(time: Duration, mut step: impl AsyncFnMut()) -> f64 {
    let mut batch = async || {
        for _ in 0..BATCH {
            step().await;
        }
    };
    // The first ones pay for what is made once.
    batch().await;
    let (begin, mut steps) = (Instant::now(), 0_u64);
    while begin.elapsed() < time {
        batch().await;
        steps += u64::from(BATCH);
    }
    steps as f64 / begin.elapsed().as_secs_f64()
}
