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

/// The permit of one connection. It moves with the connection from owner to owner. Its drop undoes every count that it
/// holds.
pub struct Permit {
    shared: Arc<Shared>,
    /// The connection in the table; `None` until the permit belongs to a connection.
    entry: Option<Arc<ConnectionEntry>>,
    /// The arbiter that counts the connection: the one it was handed to.
    slot: Option<Arc<SlotCounts>>,
    /// Whether it counts as in flight to that arbiter.
    in_flight: bool,
    /// Whether it counts against the limit.
    counted: bool,
    /// Whether it counts against the limit of its peer.
    of_peer: bool,
}

impl Permit {
    /// Takes a permit; `None` when as many as the limit allows are taken.
    pub(super) fn reserve(shared: &Arc<Shared>) -> Option<Self> {
        let limit = shared.limit();
        let more = |permits: usize| (permits < limit).then_some(permits + 1);
        shared.permits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        let shared = Arc::clone(shared);
        Some(Self { shared, entry: None, slot: None, in_flight: false, counted: true, of_peer: false })
    }

    /// Counts a connection and enters it in the table. Has no effect when the permit belongs to a connection already.
    /// `of_peer` says that the rules have counted it for its peer.
    pub(crate) fn connect(&mut self, peer: &Address, of_peer: bool) {
        if self.entry.is_none() {
            self.of_peer = of_peer;
            self.shared.count(Counter::Accepted);
            self.shared.connections.fetch_add(1, Ordering::SeqCst);
            self.entry = Some(self.shared.table.insert(peer.clone(), self.shared.now()));
            self.shared.notify_changed();
        }
    }

    /// Counts the connection for this arbiter, and no longer for a former one. It is in flight until it is claimed.
    pub(crate) fn assign(&mut self, slot: &Arc<SlotCounts>) {
        self.release_slot();
        self.in_flight = slot.add_connection();
        self.slot = Some(Arc::clone(slot));
    }

    /// Ends the count as in flight: the connection was claimed.
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

    /// Ends the count against the limit. A second call has no effect.
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
        // First: a task that the freed permit wakes reads the counts of the arbiters.
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
