//! Counters of a listener.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a listener since it was made, which only grow, and its present number of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Admitted connections. Each ends as one of `ended`, is `rejected.refused`, or is open. One that is served
    /// outside of
    /// [`Connections`](crate::Connections) is not counted again.
    pub accepted: u64,
    /// Open connections that count against the limit.
    pub active: usize,
    /// Open connections.
    pub all: usize,
    /// Connections that were closed without service, by reason.
    pub rejected: Rejected,
    /// Actors of connections that have exited, by reason, including those that transferred their connection.
    pub ended: Ended,
    /// Bytes received; on TLS connections after decryption.
    pub received: u64,
    /// Bytes sent; on TLS connections before encryption.
    pub sent: u64,
    /// Number of pauses of accepting, for lack of descriptors or memory.
    pub pauses: u64,
}

/// Numbers of connections that were closed without service, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The limit of connections was reached.
    pub full: u64,
    /// The limit of its peer was reached.
    pub peer: u64,
    /// The rate limit was exceeded.
    pub rate: u64,
    /// No descriptor was free.
    pub descriptors: u64,
    /// It was admitted, and counts as accepted, but no actor took it, for instance while the supervisor of
    /// connections restarts.
    pub refused: u64,
}

impl Rejected {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.full + self.peer + self.rate + self.descriptors + self.refused
    }
}

/// Numbers of connection actors that have exited, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// In order: the peer or the handler closed it, it finished in a drain, or it was transferred.
    pub completed: u64,
    /// Caused by the peer: reset, silence beyond a timeout, or invalid protocol.
    pub lost: u64,
    /// With an error of the protocol or handler.
    pub failed: u64,
    /// With a panic of the protocol or handler, or by a kill.
    pub crashed: u64,
    /// From outside: closed by the listener, one by one or at the deadline of a drain, or stopped with their
    /// supervisor.
    pub stopped: u64,
}

impl Ended {
    /// The sum.
    pub fn total(&self) -> u64 {
        self.completed + self.lost + self.failed + self.crashed + self.stopped
    }
}

/// The counters. `Pauses` stands last: its value is the number of counters less one.
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

    /// The counters; fields that are not counted here are zero.
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
