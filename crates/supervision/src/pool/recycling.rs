//! Recycling: limits after which a worker is replaced, with jitter so that workers do not reach them together.

use std::time::Duration;

use super::reason::RecycleReason;
use super::worker::{State, Worker};
use crate::id::Incarnation;
use crate::policy::rng::SplitMix64;
use crate::time::Time;

/// Default of [`Recycling::jitter`].
pub const RECYCLING_JITTER: f64 = 0.1;

/// Limits after which a worker is replaced (gunicorn: `max_requests`; Unit: `limits.requests`).
///
/// At most one worker of a pool is recycled at a time. It is retired when its replacement is ready. Workers that reach
/// a limit meanwhile keep serving and follow in the order in which they reached it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recycling {
    /// Requests served; at least 1. `None`: no limit.
    pub max_requests: Option<u64>,
    /// Time since it became ready; not zero. `None`: no limit.
    pub max_age: Option<Duration>,
    /// Memory; at least 1. Unit: bytes. `None`: no limit. Jitter does not apply.
    pub max_memory: Option<u64>,
    /// The largest share that is taken off `max_requests` and `max_age` at random, from 0 to 1.
    ///
    /// It spreads the limits of workers that started together. Default: [`RECYCLING_JITTER`] (0.1). It sets no limit by
    /// itself.
    pub jitter: f64,
}

impl Default for Recycling {
    /// No limits.
    fn default() -> Self {
        Self { max_requests: None, max_age: None, max_memory: None, jitter: RECYCLING_JITTER }
    }
}

impl Recycling {
    /// The limit that this worker has reached.
    pub(super) fn reason(&self, worker: &Worker, now: Time, limit_rng: SplitMix64) -> Option<RecycleReason> {
        let State::Ready { since, .. } = worker.state else { return None };
        let share = || self.share(worker.id.incarnation, limit_rng);
        let age = now.saturating_since(since);
        if self.max_requests.is_some_and(|max| worker.requests >= scaled(max, share())) {
            Some(RecycleReason::Requests(worker.requests))
        } else if self.max_age.is_some_and(|max| age >= max.mul_f64(share())) {
            Some(RecycleReason::Age(age))
        } else if self.max_memory.is_some_and(|max| worker.memory > max) {
            Some(RecycleReason::Memory(worker.memory))
        } else {
            None
        }
    }

    /// When this worker reaches its age limit.
    pub(super) fn deadline(&self, worker: &Worker, limit_rng: SplitMix64) -> Option<Time> {
        let State::Ready { since, .. } = worker.state else { return None };
        self.max_age.map(|max| since + max.mul_f64(self.share(worker.id.incarnation, limit_rng)))
    }

    /// The share of each limit that applies to this incarnation, from `1 - jitter` (excluded) to 1.
    fn share(&self, incarnation: Incarnation, limit_rng: SplitMix64) -> f64 {
        1.0 - self.jitter * limit_rng.nth(incarnation.number())
    }
}

/// The share of a limit, rounded up; at least 1.
fn scaled(limit: u64, share: f64) -> u64 {
    ((limit as f64 * share).ceil() as u64).max(1)
}
