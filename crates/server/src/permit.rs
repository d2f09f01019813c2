//! The right of one connection to be there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::peers::Peer;
use crate::registry::Conn;
use crate::{Address, ConnectionTracker};

/// The right of one connection to be there. It goes with the connection, and ends with it by drop.
#[derive(Debug)]
pub struct Permit {
    gate: ConnectionTracker,
    /// Once it is that of a connection.
    conn: Option<Arc<Conn>>,
    /// It is one of those that its arbiter has.
    share: Option<Share>,
    /// It is one of those on their way to their arbiter.
    on_its_way: Option<Share>,
    /// Whether it counts against the limit.
    counted: bool,
    /// Whether it counts against its peer's limit.
    of_peer: bool,
}

/// One more of a number until it is dropped.
#[derive(Debug)]
struct Share(Arc<AtomicUsize>);

impl Share {
    fn of(number: &Arc<AtomicUsize>) -> Self {
        number.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(number))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Permit {
    /// The gate has counted it.
    pub(crate) fn new(gate: ConnectionTracker) -> Self {
        Self { gate, conn: None, share: None, on_its_way: None, counted: true, of_peer: false }
    }

    /// From here on it is that of a connection, and counted as such.
    pub(crate) fn count(&mut self, peer: &Address) {
        if self.conn.is_none() {
            self.conn = Some(self.gate.connected(peer));
        }
    }

    /// It counts against its peer's limit too.
    pub(crate) fn counts_of_peer(&mut self) {
        self.of_peer = true;
    }

    /// Counts it as one that an arbiter has, and as one on its way there.
    pub(crate) fn share(&mut self, active: &Arc<AtomicUsize>, on_their_way: &Arc<AtomicUsize>) {
        (self.share, self.on_its_way) = (Some(Share::of(active)), Some(Share::of(on_their_way)));
    }

    /// It is where it was on its way to.
    pub(crate) fn arrive(&mut self) {
        self.on_its_way = None;
    }

    /// It does not count against the limit any more. Once is enough.
    pub(crate) fn exclude_from_limit(&mut self) {
        if self.conn.is_some() && std::mem::take(&mut self.counted) {
            self.gate.uncounted();
        }
    }

    pub(crate) fn gate(&self) -> &ConnectionTracker {
        &self.gate
    }

    pub(crate) fn conn(&self) -> Option<&Arc<Conn>> {
        self.conn.as_ref()
    }

    /// Bytes were read.
    pub(crate) fn received(&self, bytes: usize) {
        if let Some(conn) = &self.conn {
            conn.received(bytes);
        }
    }

    /// Bytes were written.
    pub(crate) fn sent(&self, bytes: usize) {
        if let Some(conn) = &self.conn {
            conn.sent(bytes);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // First, so that whoever finds room finds these right too.
        (self.share, self.on_its_way) = (None, None);
        if let Some(conn) = &self.conn {
            let peer = if self.of_peer { Peer::at(conn.peer()) } else { None };
            self.gate.disconnected(conn, peer, self.counted);
        }
        if self.counted {
            self.gate.give_back();
        }
    }
}
