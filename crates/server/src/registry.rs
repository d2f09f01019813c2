//! The connections that there are, each with its facts.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures::task::AtomicWaker;
use impresario_supervision::Time;

use crate::Address;

/// Into how many parts the table is cut, so that arbiters seldom wait for each other.
const PARTS: usize = 16;

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
pub(crate) struct Conn {
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

impl Conn {
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
    pub(crate) fn closed_by(&self, cx: &Context<'_>) {
        self.owner.register(cx.waker());
    }

    /// Whether it is to be closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn info(&self, now: Time) -> ConnectionStats {
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
pub(crate) struct Registry {
    last: AtomicU64,
    parts: [Mutex<Part>; PARTS],
}

#[derive(Debug, Default)]
struct Part {
    connections: HashMap<ConnectionId, Arc<Conn>>,
    /// Bytes of those that are gone.
    received: u64,
    sent: u64,
}

impl Registry {
    pub(crate) fn insert(&self, peer: Address, now: Time) -> Arc<Conn> {
        let id = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let conn = Arc::new(Conn {
            id,
            peer,
            since: now,
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            closed: AtomicBool::default(),
            served: AtomicBool::default(),
            owner: AtomicWaker::new(),
        });
        self.part(id).connections.insert(id, Arc::clone(&conn));
        conn
    }

    pub(crate) fn remove(&self, conn: &Conn) {
        let mut part = self.part(conn.id);
        if part.connections.remove(&conn.id).is_some() {
            part.received += conn.received.load(Ordering::Relaxed);
            part.sent += conn.sent.load(Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, id: ConnectionId) -> Option<Arc<Conn>> {
        self.part(id).connections.get(&id).cloned()
    }

    /// All that there are, oldest first.
    pub(crate) fn infos(&self, now: Time) -> Vec<ConnectionStats> {
        let mut infos = Vec::new();
        for part in &self.parts {
            infos.extend(lock(part).connections.values().map(|conn| conn.info(now)));
        }
        infos.sort_by_key(|info| info.id);
        infos
    }

    /// Has the actors of all of them end at once.
    pub(crate) fn close_all(&self) {
        for part in &self.parts {
            // Waking runs code of others, so not under the lock.
            let connections: Vec<_> = lock(part).connections.values().cloned().collect();
            connections.iter().for_each(|conn| conn.close());
        }
    }

    /// Bytes received and sent, on those that are gone too. They never get fewer.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        for part in &self.parts {
            let part = lock(part);
            sum = (sum.0 + part.received, sum.1 + part.sent);
            for conn in part.connections.values() {
                sum.0 += conn.received.load(Ordering::Relaxed);
                sum.1 += conn.sent.load(Ordering::Relaxed);
            }
        }
        sum
    }

    fn part(&self, id: ConnectionId) -> MutexGuard<'_, Part> {
        lock(&self.parts[id.0 as usize % PARTS])
    }
}

/// The parts are changed by single steps that cannot panic half-way, so a poisoned lock is as good as any.
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_the_gone_are_kept() {
        let registry = Registry::default();
        let peer = Address::unnamed();
        let (one, two) = (registry.insert(peer.clone(), Time::START), registry.insert(peer, Time::START));
        one.received(3);
        one.sent(5);
        two.received(10);
        assert_eq!(registry.bytes(), (13, 5));
        registry.remove(&one);
        registry.remove(&one);
        assert_eq!(registry.bytes(), (13, 5));
        let infos = registry.infos(Time::from_start(Duration::from_secs(7)));
        assert_eq!(infos.len(), 1);
        assert_eq!((infos[0].id.number(), infos[0].age, infos[0].received), (2, Duration::from_secs(7), 10));
        assert!(registry.get(infos[0].id).is_some() && registry.get(ConnectionId(1)).is_none());
    }
}
