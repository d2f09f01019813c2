//! The counters of one listener.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a listener since it was constructed, and its present number of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that were admitted. Each of them is open, or is counted once more in `ended` or `rejected.refused`.
    /// The end of a connection is not counted when something else than [`Connections`](crate::Connections) served it.
    pub accepted: u64,
    /// Connections that are open and count against the limit.
    pub active: usize,
    /// Connections that are open.
    pub all: usize,
    /// Connections that were closed without being served, by reason.
    pub rejected: Rejected,
    /// Actors of connections that have exited, by reason. An actor that transferred its connection is counted too.
    pub ended: Ended,
    /// Bytes that were read from connections, after decryption.
    pub received: u64,
    /// Bytes that were written to connections, before encryption.
    pub sent: u64,
    /// Pauses of 100 ms in accepting, for lack of descriptors or memory or after 64 failed accepts in a row.
    pub pauses: u64,
}

/// Connections that were closed without being served, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The limit of connections was reached.
    pub full: u64,
    /// The limit of connections from one peer was reached.
    pub peer: u64,
    /// The rate limit had no token.
    pub rate: u64,
    /// The process had no free descriptor.
    pub descriptors: u64,
    /// It was admitted and counts as accepted, but no actor was started for it, as while the supervisor of the connections
    /// is being restarted.
    pub refused: u64,
}

impl Rejected {
    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        self.full + self.peer + self.rate + self.descriptors + self.refused
    }
}

/// Actors of connections that have exited, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The peer or the handler closed the connection, it closed in a drain, or it was transferred.
    pub completed: u64,
    /// The peer reset the connection, exceeded a timeout, or violated the protocol.
    pub lost: u64,
    /// The protocol or handler returned an error.
    pub failed: u64,
    /// The protocol or handler panicked, or the actor was killed.
    pub crashed: u64,
    /// The actor was stopped: by [`ListenerRef::close`](crate::ListenerRef::close), at the deadline of a drain, or with its
    /// supervisor.
    pub stopped: u64,
}

impl Ended {
    /// The sum of all reasons.
    pub fn total(&self) -> u64 {
        self.completed + self.lost + self.failed + self.crashed + self.stopped
    }
}

/// The index of a counter. `Pauses` is last, because its index gives the number of counters.
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

    /// The values. Fields of [`Metrics`] that are not counted here are zero.
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
