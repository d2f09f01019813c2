//! The right of one connection to be there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection_table::ConnectionEntry;
use super::draining::Draining;
use super::peers::PeerKey;
use super::shared::Shared;
use crate::address::Address;

/// The right of one connection to be there. It goes with the connection, and ends with it by drop.
pub struct Permit {
    shared: Arc<Shared>,
    /// Once it is that of a connection.
    entry: Option<Arc<ConnectionEntry>>,
    /// It is one of those that its arbiter has.
    arbiter_count: Option<CountGuard>,
    /// It is one of those on their way to their arbiter.
    on_its_way: Option<CountGuard>,
    /// Whether it counts against the limit.
    counted: bool,
    /// Whether it counts against its peer's limit.
    of_peer: bool,
}

/// One more of a number until it is dropped.
#[derive(Debug)]
struct CountGuard(Arc<AtomicUsize>);

impl CountGuard {
    fn of(number: &Arc<AtomicUsize>) -> Self {
        number.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(number))
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Permit {
    /// The tracker has counted it.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, entry: None, arbiter_count: None, on_its_way: None, counted: true, of_peer: false }
    }

    /// From here on it is that of a connection, and counted as such.
    pub(crate) fn set_connected(&mut self, peer: &Address) {
        if self.entry.is_none() {
            self.entry = Some(self.shared.connected(peer));
        }
    }

    /// It counts against its peer's limit too.
    pub(super) fn set_counted_by_peer(&mut self) {
        self.of_peer = true;
    }

    /// Counts it as one that an arbiter has, and as one on its way there.
    pub(crate) fn count_on_arbiter(&mut self, active: &Arc<AtomicUsize>, in_flight: &Arc<AtomicUsize>) {
        (self.arbiter_count, self.on_its_way) =
            (Some(CountGuard::of(active)), Some(CountGuard::of(in_flight)));
    }

    /// It is where it was on its way to.
    pub(crate) fn set_arrived(&mut self) {
        self.on_its_way = None;
    }

    /// It does not count against the limit any more. Once is enough.
    pub(crate) fn exclude_from_limit(&mut self) {
        if self.entry.is_some() && std::mem::take(&mut self.counted) {
            self.shared.exclude_one();
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

    /// Bytes were read.
    pub(crate) fn received(&self, bytes: usize) {
        if let Some(entry) = &self.entry {
            entry.received(bytes);
        }
    }

    /// Bytes were written.
    pub(crate) fn sent(&self, bytes: usize) {
        if let Some(entry) = &self.entry {
            entry.sent(bytes);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("counted", &self.counted).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // First, so that whoever finds room finds these right too.
        (self.arbiter_count, self.on_its_way) = (None, None);
        if let Some(entry) = &self.entry {
            let peer = if self.of_peer { PeerKey::at(entry.peer()) } else { None };
            self.shared.disconnected(entry, peer, self.counted);
        }
        if self.counted {
            self.shared.release_permit();
        }
    }
}
