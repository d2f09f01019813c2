//! The work, the same for all: a framework only says how it does each step.
//!
//! All of it is one thread that never waits for anything but itself, so time is the processor's: what else runs on the
//! machine counts for nobody.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};
use tokio::task::yield_now;

use super::kind::Work;
use crate::error::Error;
use crate::memory::resident;

/// How many messages are told before the producer yields.
const BURST: u64 = 256;
/// How many bursts are told between two looks at the clock.
const BURSTS: u32 = 16;
/// How many steps are done between two looks at the clock.
const BATCH: u32 = 256;
/// How many starts are under way at once when many actors are started.
pub(super) const MAX_STARTS_IN_PROGRESS: usize = 256;
/// How many idle actors are measured.
const IDLE: usize = 100_000;
/// How many actors are there before: what is made once, and by the first ones, is not theirs.
const IDLE_BEFORE: usize = 1_000;
/// How many actors are stopped at once.
const STOPPED: u32 = 80_000;

/// One framework. Its futures can be tasks of any runtime.
pub(super) trait Actors {
    type Adder: Adder;
    type SpawnStop: Steps;
    type Restart: Steps;
    type IdleActors: IdleActors;
}

/// One actor that adds numbers, addressed as its users would.
pub(super) trait Adder: Send + Sync {
    fn start() -> impl Future<Output = Self> + Send;
    /// Tells it the number 1 this many times. Its mailbox has no limit.
    fn tell(&self, times: u64) -> impl Future<Output = ()> + Send;
    /// Tells it a number; answers with the sum.
    fn ask(&self, number: u64) -> impl Future<Output = u64> + Send;
}

/// What is done one after the other: for a nursery, that an actor is started, and when it runs stopped, and its end
/// waited for; for a phoenix, that its actor panics, and the replacement is waited for until it runs.
pub(super) trait Steps: Send {
    fn start() -> impl Future<Output = Self> + Send;
    fn step(&mut self) -> impl Future<Output = ()> + Send;
}

/// Actors that do nothing, and can all be told something.
pub(super) trait IdleActors: Send {
    fn start() -> impl Future<Output = Self> + Send;
    /// Starts this many, and waits until they run.
    fn add(&mut self, actors: usize) -> impl Future<Output = ()> + Send;
    /// Tells all to stop, and waits until all have ended.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// Starts this many more for a crowd whose starts are not waited for: they run when whoever starts them yields.
pub(super) async fn spawn_in_batches<T>(crowd: &mut Vec<T>, actors: usize, mut spawn: impl FnMut() -> T) {
    crowd.reserve_exact(actors);
    for number in 1..=actors {
        crowd.push(spawn());
        if number % MAX_STARTS_IN_PROGRESS == 0 || number == actors {
            yield_now().await;
        }
    }
}

/// Does the work; its figure.
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

/// Asks, and looks at the answers.
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
        assert_eq!(self.adder.ask(1).await, self.sum, "an answer is wrong");
    }
}

/// Messages that were told and handled in a second.
async fn tell<A: Adder>(time: Duration) -> f64 {
    let adder = A::start().await;
    let (begin, mut told) = (used(), 0);
    // However short the time is, something is done.
    loop {
        for _ in 0..BURSTS {
            adder.tell(BURST).await;
            told += BURST;
            yield_now().await;
        }
        if used() >= begin + time {
            break;
        }
    }
    // What is still in the mailbox is handled before this is answered.
    assert_eq!(adder.ask(0).await, told, "messages are missing");
    told as f64 / (used() - begin).as_secs_f64()
}

/// Steps in a second.
async fn rate<S: Steps>(time: Duration) -> f64 {
    let mut steps = S::start().await;
    // The first ones pay for what is made once.
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

/// The processor time that this process has used.
fn used() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(tv_sec.unsigned_abs(), tv_nsec.unsigned_abs().try_into().unwrap_or_default())
}
