//! What a listener has seen, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a listener has seen since it was made, in numbers that only grow, and how many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that were let in. Each of them ends as one of `ended`, is `rejected.refused`, or is there still; but
    /// one that was served by others than [`Connections`](crate::Connections) is not heard of again.
    pub accepted: u64,
    /// Connections that there are and that count against the limit.
    pub active: usize,
    /// Connections that there are.
    pub all: usize,
    /// Connections that were closed instead of served, by reason.
    pub rejected: Rejected,
    /// Actors of connections that have ended, by reason. One that gave its connection away is among them.
    pub ended: Ended,
    /// Bytes that were read from connections; of encrypted ones, after decryption.
    pub received: u64,
    /// Bytes that were written to connections; of encrypted ones, before encryption.
    pub sent: u64,
    /// How many times accepting had to pause for lack of descriptors or memory.
    pub pauses: u64,
}

/// Why connections were closed instead of served, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// There were as many as there may be.
    pub full: u64,
    /// Its peer had as many as one peer may have.
    pub peer: u64,
    /// They came faster than they may.
    pub rate: u64,
    /// No descriptor was left for it.
    pub descriptors: u64,
    /// It was let in, and is counted as accepted, but nobody took it, as while the supervisor of connections restarts.
    pub refused: u64,
}

impl Rejected {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.peer + self.rate + self.descriptors + self.refused
    }
}

/// How the actors of connections ended, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// In order: the peer or the handler closed it, it left when it was asked to, or it was given away.
    pub completed: u64,
    /// By the peer's doing: it reset, was silent for too long, or sent what is no such protocol.
    pub lost: u64,
    /// By an error of what serves them.
    pub failed: u64,
    /// By a panic of what serves them, or a kill.
    pub crashed: u64,
    /// From outside: closed by their listener, one by one or when the deadline of a drain had passed, or ended with their
    /// supervisor.
    pub stopped: u64,
}

impl Ended {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.completed + self.lost + self.failed + self.crashed + self.stopped
    }
}

/// One more of something. `Pauses` stands last: it says how many kinds there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Accepted,
    RejectedFull,
    RejectedPeer,
    RejectedRate,
    RejectedDescriptors,
    RejectedRefused,
    EndedCompleted,
    EndedLost,
    EndedFailed,
    EndedCrashed,
    EndedStopped,
    Pauses,
}

/// The counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; Counter::Pauses as usize + 1]);

impl Counters {
    pub(crate) fn add(&self, count: Counter) {
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self, count: Counter) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    /// The numbers; what is not counted here is left at zero.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics {
            accepted: self.get(Counter::Accepted),
            rejected: Rejected {
                full: self.get(Counter::RejectedFull),
                peer: self.get(Counter::RejectedPeer),
                rate: self.get(Counter::RejectedRate),
                descriptors: self.get(Counter::RejectedDescriptors),
                refused: self.get(Counter::RejectedRefused),
            },
            ended: Ended {
                completed: self.get(Counter::EndedCompleted),
                lost: self.get(Counter::EndedLost),
                failed: self.get(Counter::EndedFailed),
                crashed: self.get(Counter::EndedCrashed),
                stopped: self.get(Counter::EndedStopped),
            },
            pauses: self.get(Counter::Pauses),
            ..Metrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_counter() {
        let counters = Counters::default();
        counters.add(Counter::Accepted);
        counters.add(Counter::Pauses);
        counters.add(Counter::Pauses);
        counters.add(Counter::EndedLost);
        counters.add(Counter::RejectedRefused);
        let metrics = counters.metrics();
        assert_eq!((metrics.accepted, metrics.pauses), (1, 2));
        assert_eq!((metrics.ended.lost, metrics.ended.total()), (1, 1));
        assert_eq!((metrics.rejected.refused, metrics.rejected.total()), (1, 1));
    }
}
