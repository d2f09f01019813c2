//! When a worker has lived long enough: limits, and the chance that keeps workers from reaching them together.

use std::time::Duration;

use super::reason::RecycleReason;
use super::worker::{State, Worker};
use crate::id::Incarnation;
use crate::policy::rng::SplitMix64;
use crate::time::Time;

/// The share that is taken off a limit at most, unless said otherwise.
pub const RECYCLING_JITTER: f64 = 0.1;

/// When a worker is replaced by a fresh one although it is well (gunicorn: `max_requests`; Unit:
/// `limits.requests`).
///
/// At most one worker of a pool is recycled at a time, and it leaves only when its replacement is ready. What
/// reaches a limit meanwhile waits for its turn and goes on working.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recycling {
    /// After so many requests; at least 1.
    pub max_requests: Option<u64>,
    /// So long after it became ready; not zero.
    pub max_age: Option<Duration>,
    /// When it uses more bytes of memory than this; at least 1. No chance is involved.
    pub max_memory: Option<u64>,
    /// The largest share of `max_requests` and `max_age` that chance takes off, so that workers that started
    /// together do not end together; from 0 to 1, by default [`RECYCLING_JITTER`]. It enables nothing.
    pub jitter: f64,
}

impl Default for Recycling {
    /// Never.
    fn default() -> Self {
        Self { max_requests: None, max_age: None, max_memory: None, jitter: RECYCLING_JITTER }
    }
}

impl Recycling {
    /// Whether this worker has reached a limit.
    pub(super) fn cause(&self, worker: &Worker, now: Time, limit_rng: SplitMix64) -> Option<RecycleReason> {
        let State::Ready { since, .. } = worker.state else { return None };
        let share = || self.share(worker.id.life, limit_rng);
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

    /// When this worker will be too old.
    pub(super) fn deadline(&self, worker: &Worker, limit_rng: SplitMix64) -> Option<Time> {
        let State::Ready { since, .. } = worker.state else { return None };
        self.max_age.map(|max| since + max.mul_f64(self.share(worker.id.life, limit_rng)))
    }

    /// What chance leaves of a limit of this life; more than 0 and at most 1.
    fn share(&self, life: Incarnation, limit_rng: SplitMix64) -> f64 {
        1.0 - self.jitter * limit_rng.nth(life.number())
    }
}

/// The part of a limit that is left; never less than 1.
fn scaled(limit: u64, share: f64) -> u64 {
    ((limit as f64 * share).ceil() as u64).max(1)
}
