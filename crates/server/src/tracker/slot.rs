//! The counts of one arbiter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use impresario_supervision::Time;
use tokio::sync::Semaphore;

/// The most connections that are handed to one arbiter, or by one acceptor to a function, and not claimed yet.
///
/// With 1 an acceptor would wait for each claim by another thread or process. More than 16 would leave more connections
/// with an arbiter that is blocked.
pub(crate) const MAX_IN_FLIGHT: usize = 16;

/// The counts of one arbiter: all of its connections, and those in flight to it.
#[derive(Debug)]
pub(crate) struct SlotCounts {
    /// Connections that exist, those in flight included.
    active: AtomicUsize,
    /// Connections that were started so far.
    served: AtomicU64,
    /// Connections in flight: handed over, not claimed and not closed. At most [`MAX_IN_FLIGHT`].
    in_flight: AtomicUsize,
    /// One permit less for each connection in flight to any arbiter of the same supervisor. So one permit is free if and
    /// only if an arbiter has capacity, and one semaphore is enough to wait for any of them.
    all_in_flight: Arc<Semaphore>,
    /// When an acceptor first found it without capacity, in milliseconds + 1; [`NOT_FULL`], or [`REPORTED`].
    full_since: AtomicU64,
}

/// `full_since` of an arbiter that has claimed a connection since an acceptor last found it without capacity.
const NOT_FULL: u64 = 0;
/// `full_since` of an arbiter that was reported as stuck.
const REPORTED: u64 = u64::MAX;

impl SlotCounts {
    /// The counts of this number of arbiters of one supervisor.
    pub(crate) fn of_arbiters(count: usize) -> impl Iterator<Item = Arc<Self>> {
        let all_in_flight = Arc::new(Semaphore::new(count * MAX_IN_FLIGHT));
        (0..count).map(move |_| {
            Arc::new(Self {
                active: AtomicUsize::default(),
                served: AtomicU64::default(),
                in_flight: AtomicUsize::default(),
                all_in_flight: Arc::clone(&all_in_flight),
                full_since: AtomicU64::new(NOT_FULL),
            })
        })
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Counts a connection after the start of its actor.
    pub(crate) fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether fewer than [`MAX_IN_FLIGHT`] connections are in flight to this arbiter.
    pub(crate) fn has_capacity(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) < MAX_IN_FLIGHT
    }

    /// Waits until an arbiter of the same supervisor has capacity.
    pub(crate) async fn wait_for_any_capacity(&self) {
        // The semaphore is never closed.
        drop(self.all_in_flight.acquire().await);
    }

    /// Whether the arbiter has been without capacity for the time `after`, as acceptors found it. `true` once, until the
    /// arbiter claims a connection.
    pub(crate) fn report_stuck(&self, now: Time, after: Duration) -> bool {
        let now = u64::try_from(now.since_start().as_millis()).unwrap_or(REPORTED - 2) + 1;
        match self.full_since.compare_exchange(NOT_FULL, now, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(REPORTED) => false,
            Err(since) => {
                u128::from(now.saturating_sub(since)) >= after.as_millis()
                    && self
                        .full_since
                        .compare_exchange(since, REPORTED, Ordering::AcqRel, Ordering::Acquire)
                        .is_ok()
            }
        }
    }

    /// Counts a connection; `true` when it also counts as in flight. A caller that did not wait for capacity may find
    /// none: the connection is not counted as in flight then.
    pub(super) fn add_connection(&self) -> bool {
        self.active.fetch_add(1, Ordering::AcqRel);
        let more = |count: usize| (count < MAX_IN_FLIGHT).then_some(count + 1);
        if self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_err() {
            return false;
        }
        let taken = self.all_in_flight.try_acquire().map(|permit| permit.forget()).is_ok();
        if !taken {
            // Another thread is between the two steps of `release_in_flight`.
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        taken
    }

    /// A connection in flight was claimed, or is closed.
    pub(super) fn release_in_flight(&self) {
        self.full_since.store(NOT_FULL, Ordering::Release);
        // In this order: a task that `all_in_flight` wakes finds an arbiter with capacity.
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.all_in_flight.add_permits(1);
    }

    /// A connection is closed.
    pub(super) fn remove_connection(&self) {
        self.active.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(arbiters: usize) -> Vec<Arc<SlotCounts>> {
        SlotCounts::of_arbiters(arbiters).collect()
    }

    #[test]
    fn one_above_the_capacity_is_counted_but_not_in_flight() {
        let slots = counts(2);
        for _ in 0..MAX_IN_FLIGHT {
            assert!(slots[0].has_capacity() && slots[0].add_connection());
        }
        assert!(!slots[0].has_capacity() && !slots[0].add_connection());
        assert_eq!(slots[0].active(), MAX_IN_FLIGHT + 1);
        assert!(slots[1].has_capacity() && slots[1].add_connection());
        slots[0].release_in_flight();
        assert!(slots[0].has_capacity());
        assert_eq!(slots[0].all_in_flight.available_permits(), MAX_IN_FLIGHT);
    }

    #[test]
    fn stuck_is_reported_once_until_a_claim() {
        let slot = &counts(1)[0];
        let (at, after) =
            (|millis| Time::from_start(Duration::from_millis(millis)), Duration::from_millis(100));
        while slot.add_connection() {}
        assert!(!slot.report_stuck(at(0), after) && !slot.report_stuck(at(99), after));
        assert!(slot.report_stuck(at(100), after) && !slot.report_stuck(at(500), after));
        slot.release_in_flight();
        assert!(!slot.report_stuck(at(501), after) && slot.report_stuck(at(601), after));
    }
}
