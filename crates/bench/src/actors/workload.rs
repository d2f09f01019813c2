//! The work, equal for all frameworks. A framework implements only its steps.
//!
//! All work is one thread that waits only for itself, so time is processor time. Other programs on the
//! machine do not count.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::task::yield_now;

use super::kind::Work;
use crate::error::Error;
use crate::memory::resident;

/// Number of messages between two yields of the producer.
const BURST: u64 = 256;
/// Number of bursts between two reads of the clock.
const BURSTS: u32 = 16;
/// Number of steps between two reads of the clock.
const BATCH: u32 = 256;
/// Maximum number of starts in progress when many actors are started.
pub(super) const MAX_STARTS_IN_PROGRESS: usize = 256;
/// Number of idle actors that are measured.
const IDLE: usize = 100_000;
/// Number of actors before the measurement, so that things made once do not count.
const IDLE_BEFORE: usize = 1_000;
/// Number of actors that are stopped at the same time.
const STOPPED: u32 = 80_000;

/// A framework. Its futures may run as tasks of any runtime.
pub(super) trait Actors {
    type Adder: Adder;
    type SpawnStop: Steps;
    type Restart: Steps;
    type IdleActors: IdleActors;
}

/// One actor that adds numbers, addressed as in a program.
pub(super) trait Adder: Send + Sync {
    fn start() -> impl Future<Output = Self> + Send;
    /// Sends the number 1 this many times, without a reply. The mailbox has no bound.
    fn tell(&self, times: u64) -> impl Future<Output = ()> + Send;
    /// Sends a number. Returns the sum.
    fn ask(&self, number: u64) -> impl Future<Output = u64> + Send;
}

/// Work that is repeated step by step. Of `SpawnStop`: starts an actor, stops it and waits for its exit. Of
/// `Restart`: makes an actor panic and waits until its replacement runs.
pub(super) trait Steps: Send {
    fn start() -> impl Future<Output = Self> + Send;
    fn step(&mut self) -> impl Future<Output = ()> + Send;
}

/// Idle actors that can be stopped.
pub(super) trait IdleActors: Send {
    fn start() -> impl Future<Output = Self> + Send;
    /// Starts this many more, and waits until they run.
    fn add(&mut self, actors: usize) -> impl Future<Output = ()> + Send;
    /// Stops all, and waits until all have exited.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// Starts this many actors without waiting for each start. Starts complete when this task yields.
pub(super) async fn spawn_in_batches<T>(crowd: &mut Vec<T>, actors: usize, mut spawn: impl FnMut() -> T) {
    crowd.reserve_exact(actors);
    for number in 1..=actors {
        crowd.push(spawn());
        if number % MAX_STARTS_IN_PROGRESS == 0 || number == actors {
            yield_now().await;
        }
    }
}

/// Runs the work. Returns its figure.
pub(super) async fn run<A: Actors>(work: Work, time: Duration) -> Result<f64, Error> {
    match work {
        Work::Tell => Ok(tell::<A::Adder>(time).await),
        Work::Ask => Ok(rate::<Asking<A::Adder>>(time).await),
        Work::SpawnStop => Ok(rate::<A::SpawnStop>(time).await),
        Work::Restart => Ok(rate::<A::Restart>(time).await),
        Work::IdleMemory => {
            let mut crowd = A::IdleActors::start().await;
            crowd.add(IDLE_BEFORE).await;
            let before = resident(std::process::id())?;
            crowd.add(IDLE).await;
            Ok(resident(std::process::id())?.saturating_sub(before) as f64 / IDLE as f64)
        }
        Work::Shutdown => {
            let mut crowd = A::IdleActors::start().await;
            crowd.add(STOPPED as usize).await;
            let begin = used();
            crowd.stop().await;
            Ok(f64::from(STOPPED) / (used() - begin).as_secs_f64())
        }
    }
}

/// Calls the actor and checks each reply.
struct Asking<A> {
    adder: A,
    sum: u64,
}

impl<A: Adder> Steps for Asking<A> {
    async fn start() -> Self {
        Self { adder: A::start().await, sum: 0 }
    }

    async fn step(&mut self) {
        self.sum += 1;
        assert_eq!(self.adder.ask(1).await, self.sum, "wrong sum");
    }
}

/// Messages sent and handled per second.
async fn tell<A: Adder>(time: Duration) -> f64 {
    let adder = A::start().await;
    let (begin, mut sent) = (used(), 0);
    // At least one burst, even if the time is too short.
    loop {
        for _ in 0..BURSTS {
            adder.tell(BURST).await;
            sent += BURST;
            yield_now().await;
        }
        if used() >= begin + time {
            break;
        }
    }
    // The mailbox is in order, so the reply comes after all messages.
    assert_eq!(adder.ask(0).await, sent, "messages are missing");
    sent as f64 / (used() - begin).as_secs_f64()
}

/// Steps per second.
async fn rate<S: Steps>(time: Duration) -> f64 {
    let mut steps = S::start().await;
    // The first batch pays for things that are made once.
    batch(&mut steps).await;
    let (begin, mut done) = (used(), 0_u64);
    loop {
        batch(&mut steps).await;
        done += u64::from(BATCH);
        if used() >= begin + time {
            break;
        }
    }
    done as f64 / (used() - begin).as_secs_f64()
}

async fn batch<S: Steps>(steps: &mut S) {
    for _ in 0..BATCH {
        steps.step().await;
    }
}

/// Processor time of this process.
fn used() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.unsigned_abs(), tv_nsec.unsigned_abs().try_into().unwrap_or_default())
}
