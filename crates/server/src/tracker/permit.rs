//! The permit of one connection: the one owner of its place in every count.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::connection_table::ConnectionEntry;
use super::draining::Draining;
use super::metrics::Counter;
use super::peers::PeerKey;
use super::shared::Shared;
use super::slot::SlotCounts;
use crate::address::Address;

/// The permit of one connection. It goes with the connection from owner to owner; dropped, it undoes all that it counts.
pub struct Permit {
    shared: Arc<Shared>,
    /// The connection in the table; `None` until the permit belongs to a connection.
    entry: Option<Arc<ConnectionEntry>>,
    /// The arbiter that the connection was handed to.
    slot: Option<Arc<SlotCounts>>,
    /// Whether it holds one of the arbiter's permits in flight.
    in_flight: bool,
    /// Whether it counts against the limit.
    counted: bool,
    /// Whether it counts against the limit of its peer.
    of_peer: bool,
}

impl Permit {
    /// Takes one of the permits that the limit allows; `None` when there is none.
    pub(super) fn reserve(shared: &Arc<Shared>) -> Option<Self> {
        let limit = shared.limit();
        let more = |permits: usize| (permits < limit).then_some(permits + 1);
        shared.permits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        let shared = Arc::clone(shared);
        Some(Self { shared, entry: None, slot: None, in_flight: false, counted: true, of_peer: false })
    }

    /// Counts the connection that it belongs to from now on. Has no effect when it belongs to one.
    pub(crate) fn connect(&mut self, peer: &Address, of_peer: bool) {
        if self.entry.is_none() {
            self.of_peer = of_peer;
            self.shared.count(Counter::Accepted);
            self.shared.connections.fetch_add(1, Ordering::SeqCst);
            self.entry = Some(self.shared.table.insert(peer.clone(), self.shared.now()));
            self.shared.notify_changed();
        }
    }

    /// Counts the connection as one of this arbiter and of no other, and as in flight to it.
    pub(crate) fn assign(&mut self, slot: &Arc<SlotCounts>) {
        self.release_slot();
        self.in_flight = slot.add_connection();
        self.slot = Some(Arc::clone(slot));
    }

    /// The connection is not in flight any more: it was claimed.
    pub(crate) fn set_claimed(&mut self) {
        if let (true, Some(slot)) = (std::mem::take(&mut self.in_flight), &self.slot) {
            slot.release_in_flight();
        }
    }

    fn release_slot(&mut self) {
        self.set_claimed();
        if let Some(slot) = self.slot.take() {
            slot.remove_connection();
        }
    }

    /// Does not count against the limit any more. A second call has no effect.
    pub(crate) fn exclude_from_limit(&mut self) {
        if self.entry.is_some() && std::mem::take(&mut self.counted) {
            self.shared.excluded.fetch_add(1, Ordering::SeqCst);
            self.shared.release_permit();
            self.shared.notify_changed();
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Resolves when the listener of the connection drains.
    pub(crate) fn draining(&self) -> Draining {
        Draining::new(&self.shared)
    }

    pub(crate) fn entry(&self) -> Option<&Arc<ConnectionEntry>> {
        self.entry.as_ref()
    }

    /// Counts bytes that were read.
    pub(crate) fn received(&self, bytes: usize) {
        if let Some(entry) = &self.entry {
            entry.received(bytes);
        }
    }

    /// Counts bytes that were written.
    pub(crate) fn sent(&self, bytes: usize) {
        if let Some(entry) = &self.entry {
            entry.sent(bytes);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // First, so that a task that finds capacity finds the numbers of the arbiters right too.
        self.release_slot();
        let shared = &self.shared;
        if let Some(entry) = &self.entry {
            shared.table.remove(entry);
            if self.of_peer
                && let Some(peer) = PeerKey::at(entry.peer())
            {
                shared.rules().peers.unregister(peer);
            }
            if !self.counted {
                shared.excluded.fetch_sub(1, Ordering::SeqCst);
            }
            if shared.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
                shared.empty.wake_all();
            }
            shared.notify_changed();
        }
        if self.counted {
            shared.release_permit();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("counted", &self.counted).finish_non_exhaustive()
    }
}
