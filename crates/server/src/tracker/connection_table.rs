//! The connections that there are, each with its facts.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures::task::AtomicWaker;
use impresario_supervision::Time;

use crate::address::Address;

/// Into how many parts the table is cut, so that arbiters seldom wait for each other.
const SHARDS: usize = 16;

/// Names a connection for as long as its listener exists. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The number in it: 1 for the first connection.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is known of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Its name.
    pub id: ConnectionId,
    /// Who connected, as the kernel says: with a proxy in front, that.
    pub peer: Address,
    /// How long it has been there.
    pub age: Duration,
    /// Bytes that were read from it.
    pub received: u64,
    /// Bytes that were written to it.
    pub sent: u64,
}

/// A connection that is there. Its owner counts its bytes, alone.
#[derive(Debug)]
pub(crate) struct ConnectionEntry {
    id: ConnectionId,
    peer: Address,
    since: Time,
    received: AtomicU64,
    sent: AtomicU64,
    closed: AtomicBool,
    /// Whether it has an actor, or had one.
    served: AtomicBool,
    owner: AtomicWaker,
}

impl ConnectionEntry {
    pub(crate) fn peer(&self) -> &Address {
        &self.peer
    }

    pub(crate) fn received(&self, bytes: usize) {
        add(&self.received, bytes);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.sent, bytes);
    }

    /// It has an actor, which will say how it ended.
    pub(crate) fn set_served(&self) {
        self.served.store(true, Ordering::Release);
    }

    pub(crate) fn was_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }

    /// Has its actor end at once.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.owner.wake();
    }

    /// Has this task woken when it is to be closed.
    pub(crate) fn register_close_waker(&self, cx: &Context<'_>) {
        self.owner.register(cx.waker());
    }

    /// Whether it is to be closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn stats(&self, now: Time) -> ConnectionStats {
        ConnectionStats {
            id: self.id,
            peer: self.peer.clone(),
            age: now.saturating_since(self.since),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }
}

/// Only the owner writes, so this needs no atomic addition.
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
}

/// All connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    last: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    connections: HashMap<ConnectionId, Arc<ConnectionEntry>>,
    /// Bytes of those that are gone.
    received: u64,
    sent: u64,
}

impl ConnectionTable {
    pub(crate) fn insert(&self, peer: Address, now: Time) -> Arc<ConnectionEntry> {
        let id = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let entry = Arc::new(ConnectionEntry {
            id,
            peer,
            since: now,
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            closed: AtomicBool::default(),
            served: AtomicBool::default(),
            owner: AtomicWaker::new(),
        });
        self.shard(id).connections.insert(id, Arc::clone(&entry));
        entry
    }

    pub(crate) fn remove(&self, entry: &ConnectionEntry) {
        let mut shard = self.shard(entry.id);
        if shard.connections.remove(&entry.id).is_some() {
            shard.received += entry.received.load(Ordering::Relaxed);
            shard.sent += entry.sent.load(Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<ConnectionEntry>> {
        self.shard(id).connections.get(&id).cloned()
    }

    /// All that there are, oldest first.
    pub(crate) fn stats(&self, now: Time) -> Vec<ConnectionStats> {
        let mut stats = Vec::new();
        for shard in &self.shards {
            stats.extend(lock(shard).connections.values().map(|entry| entry.stats(now)));
        }
        stats.sort_by_key(|stats| stats.id);
        stats
    }

    /// Has the actors of all of them end at once.
    pub(crate) fn close_all(&self) {
        for shard in &self.shards {
            // Waking runs code of others, so not under the lock.
            let connections: Vec<_> = lock(shard).connections.values().cloned().collect();
            connections.iter().for_each(|entry| entry.close());
        }
    }

    /// Bytes received and sent, on those that are gone too. They never get fewer.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        for shard in &self.shards {
            let shard = lock(shard);
            sum = (sum.0 + shard.received, sum.1 + shard.sent);
            for entry in shard.connections.values() {
                sum.0 += entry.received.load(Ordering::Relaxed);
                sum.1 += entry.sent.load(Ordering::Relaxed);
            }
        }
        sum
    }

    fn shard(&self, id: ConnectionId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[id.0 as usize % SHARDS])
    }
}

/// The parts are changed by single steps that cannot panic half-way, so a poisoned lock is as good as any.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_removed_connections_are_kept() {
        let registry = ConnectionTable::default();
        let peer = Address::unnamed();
        let (one, two) = (registry.insert(peer.clone(), Time::START), registry.insert(peer, Time::START));
        one.received(3);
        one.sent(5);
        two.received(10);
        assert_eq!(registry.bytes(), (13, 5));
        registry.remove(&one);
        registry.remove(&one);
        assert_eq!(registry.bytes(), (13, 5));
        let stats = registry.stats(Time::from_start(Duration::from_secs(7)));
        assert_eq!(stats.len(), 1);
        assert_eq!((stats[0].id.number(), stats[0].age, stats[0].received), (2, Duration::from_secs(7), 10));
        assert!(registry.get(stats[0].id).is_some() && registry.get(ConnectionId(1)).is_none());
    }
}
