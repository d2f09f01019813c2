//! The counts, the limits and the phase of one listener.
//!
//! A [`ConnectionTracker`] is where the acceptors, the connections and the drain of one listener meet. It gives each
//! connection a [`Permit`](permit::Permit), which undoes every count when it is dropped. The rules (`limits`, `peers`,
//! `rate`, `alarm`, `phase`) are pure: they get the time as a value. This folder may not know sockets, protocols,
//! actors of connections, or threads.

mod admission;
pub(crate) mod alarm;
pub(crate) mod connection_table;
pub(crate) mod draining;
mod lifecycle;
pub(crate) mod limits;
pub(crate) mod metrics;
pub(crate) mod peers;
pub(crate) mod permit;
pub(crate) mod phase;
pub(crate) mod rate;
pub(crate) mod shared;
pub(crate) mod slot;
#[cfg(test)]
mod tracker_tests;
pub(crate) mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use impresario_actor::{ChildId, SupervisorRef};
use impresario_supervision::Time;

use alarm::Alarm;
use connection_table::{ConnectionId, ConnectionStats};
use limits::{AdmissionRules, Policy};
use metrics::{Counter, Metrics};
use rate::{Bucket, Rate};
use shared::Shared;

/// Connection counter, admission limits and phase of one listener, shared by its acceptors, its connections and its
/// drain. A clone is the same tracker.
///
/// There is no global list of trackers: pass it to what needs it.
#[derive(Clone)]
pub struct ConnectionTracker(Arc<Shared>);

impl ConnectionTracker {
    /// A tracker without a limit, in the phase in which acceptors accept.
    pub fn new() -> Self {
        Self(Arc::new(Shared::new()))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Sets the most connections at a time. It is a hard limit for all acceptors of this tracker together.
    ///
    /// The default is `usize::MAX`. With 0 no connection is admitted.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        self.set_max_connections(limit);
        self
    }

    /// Changes the most connections at a time. A lower limit closes no connection: none is admitted until the number of
    /// connections is below the limit.
    pub fn set_max_connections(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::SeqCst);
        self.0.capacity.wake_all();
    }

    /// The most connections at a time.
    pub fn limit(&self) -> usize {
        self.0.limit()
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        self.0.policy.store(policy as u8, Ordering::SeqCst);
        self.0.capacity.wake_all();
    }

    pub(crate) fn policy(&self) -> Policy {
        if self.0.policy.load(Ordering::Acquire) == Policy::Reject as u8 {
            Policy::Reject
        } else {
            Policy::Queue
        }
    }

    pub(crate) fn set_max_per_peer(&self, limit: usize) {
        self.update_rules(|rules| rules.per_peer = limit);
    }

    pub(crate) fn set_rate(&self, rate: Option<Rate>) {
        self.update_rules(|rules| rules.rate = rate.map(Bucket::new));
        self.0.capacity.wake_all();
    }

    pub(crate) fn set_alarms(&self, alarms: Vec<Alarm>) {
        drop(self.update_rules(|rules| rules.alarms.replace(alarms)));
    }

    pub(crate) fn add_alarm(&self, alarm: Alarm) {
        self.update_rules(|rules| rules.alarms.add(alarm));
    }

    fn update_rules<T>(&self, change: impl FnOnce(&mut AdmissionRules) -> T) -> T {
        let mut rules = self.0.rules();
        let result = change(&mut rules);
        self.0.alarm_at.store(rules.alarms.lowest(), Ordering::Release);
        self.0.has_rules.store(rules.is_enabled(), Ordering::Release);
        result
    }

    /// The time since this tracker was made.
    pub(crate) fn now(&self) -> Time {
        self.0.now()
    }

    /// The number of connections that count against the limit, those that no actor has claimed yet included.
    pub fn active(&self) -> usize {
        self.0.active()
    }

    /// The number of all connections, those [excluded from the limit](crate::Socket::exclude_from_limit) included.
    pub fn all(&self) -> usize {
        self.0.all()
    }

    /// The supervisor of the connections. [`Connections`](crate::Connections) starts it.
    pub(crate) fn supervisor(&self) -> &SupervisorRef {
        &self.0.supervisor
    }

    /// Sets the id of the listener for the reports of its connections. The first one counts.
    pub(crate) fn set_name(&self, name: ChildId) {
        // An error means that it is set.
        let _ = self.0.name.set(name);
    }

    /// The id of the listener; empty before it is set.
    pub(crate) fn name(&self) -> &str {
        self.0.name.get().map_or("", ChildId::as_str)
    }

    /// Adds one to a counter of the metrics.
    pub(crate) fn count(&self, counter: Counter) {
        self.0.count(counter);
    }

    /// The counters: connections, rejections, ends, bytes and pauses.
    pub fn metrics(&self) -> Metrics {
        let (received, sent) = self.0.table.bytes();
        let metrics = self.0.counters.metrics();
        Metrics { active: self.active(), all: self.all(), received, sent, ..metrics }
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionStats> {
        self.0.table.stats(self.0.now())
    }

    /// Stops the actor of a connection; `false` when no connection has this id.
    pub(crate) fn close(&self, id: ConnectionId) -> bool {
        self.0.table.get(id).map(|entry| entry.close()).is_some()
    }

    pub(crate) fn close_all(&self) {
        self.0.table.close_all();
    }
}

impl Default for ConnectionTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConnectionTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTracker")
            .field("limit", &self.0.limit)
            .field("active", &self.active())
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
