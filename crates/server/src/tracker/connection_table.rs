//! The table of the open connections, with the peer, age and bytes of each.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures::task::AtomicWaker;
use impresario_supervision::Time;

use crate::address::Address;

/// The number of parts of the table, each with its own lock, so that arbiters seldom contend for one.
const SHARDS: usize = 16;

/// The number of a connection, unique in its listener. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The number: 1 for the first connection of the listener.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The facts of one open connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Its number.
    pub id: ConnectionId,
    /// The address of the peer by the kernel. Behind a proxy that is the proxy.
    pub peer: Address,
    /// The time since it was admitted.
    pub age: Duration,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// An open connection. Only the thread of its owner writes its byte counters.
#[derive(Debug)]
pub(crate) struct ConnectionEntry {
    id: ConnectionId,
    peer: Address,
    since: Time,
    received: AtomicU64,
    sent: AtomicU64,
    closed: AtomicBool,
    /// Whether it has or had an actor.
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

    /// Marks it as owned by an actor, which counts how it ends.
    pub(crate) fn set_served(&self) {
        self.served.store(true, Ordering::Release);
    }

    pub(crate) fn was_served(&self) -> bool {
        self.served.load(Ordering::Acquire)
    }

    /// Stops its actor immediately.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.owner.wake();
    }

    /// Registers the task that [`close`](Self::close) wakes.
    pub(crate) fn register_close_waker(&self, cx: &Context<'_>) {
        self.owner.register(cx.waker());
    }

    /// Whether [`close`](Self::close) was called.
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

/// Adds to a counter with a load and a store: only the owner writes it, so this needs no atomic addition.
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
    /// Bytes of the connections that are closed.
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

    /// The facts of all open connections, oldest first.
    pub(crate) fn stats(&self, now: Time) -> Vec<ConnectionStats> {
        let mut stats = Vec::new();
        for shard in &self.shards {
            stats.extend(lock(shard).connections.values().map(|entry| entry.stats(now)));
        }
        stats.sort_by_key(|stats| stats.id);
        stats
    }

    /// Stops the actors of all connections immediately.
    pub(crate) fn close_all(&self) {
        for shard in &self.shards {
            // Copied first: a wake-up may run code that takes the lock.
            let connections: Vec<_> = lock(shard).connections.values().cloned().collect();
            connections.iter().for_each(|entry| entry.close());
        }
    }

    /// Bytes received and sent on all connections, the closed ones included. They never decrease.
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

/// Each change under the lock is a single step that cannot panic half-way, so a poisoned lock is still consistent.
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
