//! The counts of one arbiter.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// The most connections that are handed to one arbiter, or by one acceptor to a function, and not claimed yet.
///
/// One would be as fast while acceptor and connection share a thread. Another thread or process needs time to claim, and
/// connections need not queue for each claim.
pub(crate) const MAX_IN_FLIGHT: usize = 16;

/// The counts of one arbiter: its connections, and how many of them are on their way to it.
#[derive(Debug)]
pub(crate) struct SlotCounts {
    /// Connections that exist, those in flight included.
    active: AtomicUsize,
    /// Connections that were started so far.
    served: AtomicU64,
    /// One permit less for each connection in flight: handed over and not claimed.
    in_flight: Semaphore,
    /// Whether no permit came back for a long time.
    stuck: AtomicBool,
}

impl Default for SlotCounts {
    fn default() -> Self {
        Self {
            active: AtomicUsize::default(),
            served: AtomicU64::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            stuck: AtomicBool::default(),
        }
    }
}

impl SlotCounts {
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Counts a connection with a started actor.
    pub(crate) fn count_served(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether fewer than [`MAX_IN_FLIGHT`] connections are in flight.
    pub(crate) fn has_capacity(&self) -> bool {
        self.in_flight.available_permits() > 0
    }

    /// Waits until fewer than [`MAX_IN_FLIGHT`] connections are in flight.
    pub(crate) async fn wait_for_capacity(&self) {
        // It is never closed.
        drop(self.in_flight.acquire().await);
    }

    /// Marks the arbiter as stuck until it claims a connection; `false` when it was marked before.
    pub(crate) fn mark_stuck(&self) -> bool {
        !self.stuck.swap(true, Ordering::AcqRel)
    }

    /// Whether it is stuck. The first claim ends that.
    pub(crate) fn is_stuck(&self) -> bool {
        let was = self.stuck.load(Ordering::Acquire);
        if was && self.has_capacity() {
            self.stuck.store(false, Ordering::Release);
            return false;
        }
        was
    }

    /// Counts a connection; `true` when it takes one of the permits in flight. A caller that did not wait for capacity
    /// may find none.
    pub(super) fn add_connection(&self) -> bool {
        self.active.fetch_add(1, Ordering::AcqRel);
        self.in_flight.try_acquire().map(|permit| permit.forget()).is_ok()
    }

    /// A connection was claimed, or is closed.
    pub(super) fn release_in_flight(&self) {
        self.in_flight.add_permits(1);
    }

    /// A connection is closed.
    pub(super) fn remove_connection(&self) {
        self.active.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuck_until_a_permit_in_flight_comes_back() {
        let slot = SlotCounts::default();
        for _ in 0..MAX_IN_FLIGHT {
            assert!(slot.has_capacity() && slot.add_connection());
        }
        assert!(
            !slot.has_capacity() && !slot.add_connection(),
            "one above the bound is counted and takes no permit"
        );
        assert_eq!(slot.active(), MAX_IN_FLIGHT + 1);
        assert!(slot.mark_stuck() && !slot.mark_stuck() && slot.is_stuck());
        slot.release_in_flight();
        assert!(!slot.is_stuck() && slot.has_capacity());
    }
}
