//! Who may come in, and when everybody must leave.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use impresario_actor::{ChildId, ChildSpec, SupervisorRef};
use impresario_supervision::Time;
use tokio::time::Instant;

use crate::alarm::Ring;
use crate::metrics::{Count, Counters};
use crate::peers::Peer;
use crate::phase::{Phase, Step};
use crate::rate::Bucket;
use crate::registry::{Conn, ConnectionStats, Registry};
use crate::strict::{NoEntry, Strict};
use crate::waiting::{Draining, Guard, Waiter};
use crate::wakers::Wakers;
use crate::{Address, Alarm, ConnectionId, Metrics, Permit, Policy, Rate, drain};

/// Where acceptors, connections and drain of one listener meet: it counts, limits, and says when to leave.
///
/// A clone is the same gate. It belongs to whoever made it and is found by nobody else.
#[derive(Clone)]
pub struct ConnectionTracker(Arc<Shared>);

pub(crate) struct Shared {
    limit: AtomicUsize,
    policy: AtomicU8,
    /// Permits that are out and count.
    permits: AtomicUsize,
    /// Connections, and those of them that do not count.
    connections: AtomicUsize,
    uncounted: AtomicUsize,
    /// Acceptors that live, and sockets that they listen on.
    acceptors: AtomicUsize,
    listening: AtomicUsize,
    /// The supervisor of the connections, if they are [`Connections`](crate::Connections).
    server: SupervisorRef,
    phase: AtomicU8,
    /// Whether `strict` has anything to decide.
    is_strict: AtomicBool,
    /// From how many connections on an alarm may ring.
    alarm_at: AtomicUsize,
    strict: Mutex<Strict>,
    registry: Registry,
    counters: Counters,
    start: Instant,
    /// Wait for room.
    room: Wakers,
    /// Wait for the drain to begin.
    draining: Wakers,
    /// Wait for another phase, or for a socket to be closed.
    phases: Wakers,
    /// Wait for the last to leave.
    empty: Wakers,
    /// Wait for a number of connections, and how many do.
    changes: Wakers,
    watchers: AtomicUsize,
}

impl ConnectionTracker {
    /// An open gate without a limit.
    pub fn new() -> Self {
        Self(Arc::new(Shared::new()))
    }

    /// How many connections there may be at a time: one hard number for all that meet here. With 0 none is served.
    #[must_use]
    pub fn max_connections(self, limit: usize) -> Self {
        self.set_max_connections(limit);
        self
    }

    /// Whether the two are one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Changes how many there may be. A lower limit closes nothing: it lets nobody in until enough have left.
    pub fn set_max_connections(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::SeqCst);
        self.0.room.wake_all();
    }

    /// How many connections there may be.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Acquire)
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        self.0.policy.store(policy as u8, Ordering::SeqCst);
        self.0.room.wake_all();
    }

    pub(crate) fn policy(&self) -> Policy {
        if self.0.policy.load(Ordering::Acquire) == Policy::Reject as u8 {
            Policy::Reject
        } else {
            Policy::Queue
        }
    }

    pub(crate) fn set_max_per_peer(&self, limit: usize) {
        self.strictly(|strict| strict.per_peer = limit);
    }

    pub(crate) fn set_rate(&self, rate: Option<Rate>) {
        self.strictly(|strict| strict.rate = rate.map(Bucket::new));
        self.0.room.wake_all();
    }

    pub(crate) fn set_alarms(&self, alarms: Vec<Alarm>) {
        self.strictly(|strict| strict.alarms.replace(alarms));
    }

    pub(crate) fn add_alarm(&self, alarm: Alarm) {
        self.strictly(|strict| strict.alarms.add(alarm));
    }

    fn strictly(&self, change: impl FnOnce(&mut Strict)) {
        let mut strict = self.0.strict();
        change(&mut strict);
        self.0.alarm_at.store(strict.alarms.lowest(), Ordering::Release);
        self.0.is_strict.store(strict.is_wanted(), Ordering::Release);
    }

    /// How many connections count against the limit, claimed or still on their way to their actor.
    pub fn active(&self) -> usize {
        self.all().saturating_sub(self.0.uncounted.load(Ordering::SeqCst))
    }

    /// How many connections there are, those that [left the count](crate::Socket::uncount) included.
    pub fn all(&self) -> usize {
        self.0.connections.load(Ordering::SeqCst)
    }

    /// Lets a connection in, unless the limit is reached or all are asked to leave.
    pub fn admit(&self) -> Option<Permit> {
        if self.is_draining() { None } else { self.permit() }
    }

    /// Waits until there may be room, if that is the policy.
    pub(crate) async fn room(&self) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.room);
        let room = || {
            let free =
                self.policy() == Policy::Reject || self.0.permits.load(Ordering::SeqCst) < self.limit();
            free.then_some(())
        };
        std::future::poll_fn(|cx| waiter.poll(cx, room)).await;
    }

    /// Waits until one more may come by the limit of the rate, if that is the policy.
    pub(crate) async fn turn(&self) {
        if !self.0.is_strict.load(Ordering::Acquire) {
            return;
        }
        while self.policy() == Policy::Queue {
            let taken = match &mut self.0.strict().rate {
                Some(bucket) => bucket.take(self.0.now()).map_err(|wait| (wait, bucket.rate())),
                None => Ok(()),
            };
            match taken {
                Ok(()) => return,
                // Until there is a token, or other rules hold.
                Err((wait, rate)) => drop(tokio::time::timeout(wait, self.other_than(rate)).await),
            }
        }
    }

    /// Waits until nobody has to wait for a turn by this rate.
    async fn other_than(&self, rate: Rate) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.room);
        let holds = || self.policy() == Policy::Queue && self.rate() == Some(rate);
        std::future::poll_fn(|cx| waiter.poll(cx, || (!holds()).then_some(()))).await;
    }

    fn rate(&self) -> Option<Rate> {
        self.0.strict().rate.as_ref().map(Bucket::rate)
    }

    /// Whether a connection that was accepted with this permit may come in. Refusals are counted.
    pub(crate) fn enter(&self, permit: Option<Permit>, peer: &Address) -> Result<Permit, NoEntry> {
        let entry = self.may_enter(permit, peer);
        match &entry {
            Ok(_) => {}
            Err(NoEntry::Full) => self.cast(Count::RejectedFull),
            Err(NoEntry::Peer) => self.cast(Count::RejectedPeer),
            Err(NoEntry::Rate) => self.cast(Count::RejectedRate),
        }
        entry
    }

    fn may_enter(&self, permit: Option<Permit>, peer: &Address) -> Result<Permit, NoEntry> {
        let mut permit = permit.or_else(|| self.permit()).ok_or(NoEntry::Full)?;
        let is_strict = self.0.is_strict.load(Ordering::Acquire);
        let of_peer = is_strict && self.0.strict().enter(self.policy(), self.0.now(), peer)?;
        permit.count(peer);
        if of_peer {
            permit.counts_of_peer();
        }
        Ok(permit)
    }

    /// The alarms that ring now that a connection has come in.
    pub(crate) fn rings(&self) -> Vec<Ring> {
        let active = self.active();
        if active < self.0.alarm_at.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.0.strict().alarms.ring(self.0.now(), active)
    }

    /// Resolves when all connections are asked to leave.
    pub fn draining(&self) -> Draining {
        Draining::new(&self.0)
    }

    /// Whether all connections are asked to leave.
    pub fn is_draining(&self) -> bool {
        self.phase().asks_to_leave()
    }

    /// The child that drains: put it after connections and acceptors, so that it is stopped first.
    ///
    /// Told to stop, it asks acceptors to close their listening sockets and connections to finish, and is done when
    /// all have, or when the deadline has passed. What is left then ends with its supervisor. When it is stopped only
    /// because an acceptor or the [`Connections`](crate::Connections) before it died, it does nothing.
    pub fn drain_spec(&self, id: impl Into<ChildId>, deadline: Option<Duration>) -> ChildSpec {
        drain::child_spec(id.into(), self.clone(), Duration::ZERO, deadline, None)
    }

    /// The name of the supervisor of the connections, for whoever starts it.
    pub(crate) fn server(&self) -> &SupervisorRef {
        &self.0.server
    }

    /// Who must live for the listener to be whole: how many acceptors do, and whether the supervisor of the connections.
    pub(crate) fn living(&self) -> (usize, bool) {
        (self.acceptors(), self.0.server.pid().is_some_and(|pid| pid.is_alive()))
    }

    /// Acceptors that live.
    pub(crate) fn acceptors(&self) -> usize {
        self.0.acceptors.load(Ordering::SeqCst)
    }

    /// Counts an acceptor until the guard is dropped.
    pub(crate) fn accepting(&self) -> Guard {
        Guard::new(self, |shared| &shared.acceptors)
    }

    /// Counts a socket that is accepted on until the guard is dropped.
    pub(crate) fn listening(&self) -> Guard {
        Guard::new(self, |shared| &shared.listening)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.0.phase()
    }

    /// Takes a step, if it means anything in this phase; says whether it did.
    pub(crate) fn step(&self, step: Step) -> bool {
        let next = |number| Phase::numbered(number).after(step).map(Phase::number);
        let stepped = self.0.phase.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok();
        if stepped {
            self.0.phases.wake_all();
            self.0.empty.wake_all();
            if self.is_draining() {
                self.0.draining.wake_all();
            }
        }
        stepped
    }

    /// Waits until the phase is such.
    pub(crate) async fn until_phase(&self, wanted: impl Fn(Phase) -> bool) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.phases);
        std::future::poll_fn(|cx| waiter.poll(cx, || wanted(self.phase()).then_some(()))).await;
    }

    /// Waits until nobody accepts on any socket, or somebody else has said that they are to.
    pub(crate) async fn silent(&self) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.phases);
        let nobody = || self.0.listening.load(Ordering::SeqCst) == 0;
        let silent = || (nobody() || self.phase().accepts()).then_some(());
        std::future::poll_fn(|cx| waiter.poll(cx, silent)).await;
    }

    /// Waits until nobody accepts and no connection is left, or a new life has begun.
    pub(crate) async fn empty(&self) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.empty);
        let nobody = || self.0.listening.load(Ordering::SeqCst) == 0 && self.all() == 0;
        let empty = || (nobody() || self.phase() == Phase::Open).then_some(());
        std::future::poll_fn(|cx| waiter.poll(cx, empty)).await;
    }

    /// Waits until the number of connections that count is such.
    pub(crate) async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        let mut waiter = Waiter::new(&self.0, |shared| &shared.changes);
        let _watching = Guard::new(self, |shared| &shared.watchers);
        std::future::poll_fn(|cx| waiter.poll(cx, || wanted(self.active()).then_some(()))).await;
    }

    /// One more of something.
    pub(crate) fn cast(&self, count: Count) {
        self.0.counters.add(count);
    }

    /// What has been seen here, in numbers.
    pub fn metrics(&self) -> Metrics {
        let (received, sent) = self.0.registry.bytes();
        let metrics = self.0.counters.metrics();
        Metrics { active: self.active(), all: self.all(), received, sent, ..metrics }
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionStats> {
        self.0.registry.infos(self.0.now())
    }

    /// Has the actor of a connection end at once; says whether there is such a connection.
    pub(crate) fn close(&self, id: ConnectionId) -> bool {
        self.0.registry.get(id).map(|conn| conn.close()).is_some()
    }

    pub(crate) fn close_all(&self) {
        self.0.registry.close_all();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// A permit, if there is room.
    pub(crate) fn permit(&self) -> Option<Permit> {
        let limit = self.limit();
        let more = |permits: usize| (permits < limit).then_some(permits + 1);
        self.0.permits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Permit::new(self.clone()))
    }

    /// A permit is that of a connection from now on.
    pub(crate) fn connected(&self, peer: &Address) -> Arc<Conn> {
        self.cast(Count::Accepted);
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        let conn = self.0.registry.insert(peer.clone(), self.0.now());
        self.0.changed();
        conn
    }

    /// The connection of a permit is over.
    pub(crate) fn disconnected(&self, conn: &Conn, peer: Option<Peer>, counted: bool) {
        self.0.registry.remove(conn);
        if let Some(peer) = peer {
            self.0.strict().peers.leave(peer);
        }
        if !counted {
            self.0.uncounted.fetch_sub(1, Ordering::SeqCst);
        }
        if self.0.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.empty.wake_all();
        }
        self.0.changed();
    }

    /// A connection does not count any more.
    pub(crate) fn uncounted(&self) {
        self.0.uncounted.fetch_add(1, Ordering::SeqCst);
        self.give_back();
        self.0.changed();
    }

    /// A permit that counted is free.
    pub(crate) fn give_back(&self) {
        let permits = self.0.permits.fetch_sub(1, Ordering::SeqCst);
        if permits >= self.limit() {
            self.0.room.wake_all();
        }
    }
}

impl Default for ConnectionTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            limit: AtomicUsize::new(usize::MAX),
            policy: AtomicU8::new(Policy::Queue as u8),
            permits: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            uncounted: AtomicUsize::default(),
            acceptors: AtomicUsize::default(),
            listening: AtomicUsize::default(),
            server: SupervisorRef::new(),
            phase: AtomicU8::new(Phase::Open.number()),
            is_strict: AtomicBool::new(false),
            alarm_at: AtomicUsize::new(usize::MAX),
            strict: Mutex::default(),
            registry: Registry::default(),
            counters: Counters::default(),
            start: Instant::now(),
            room: Wakers::default(),
            draining: Wakers::default(),
            phases: Wakers::default(),
            empty: Wakers::default(),
            changes: Wakers::default(),
            watchers: AtomicUsize::default(),
        }
    }

    fn now(&self) -> Time {
        Time::from_start(self.start.elapsed())
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::numbered(self.phase.load(Ordering::SeqCst))
    }

    /// What is behind it is changed by single steps that cannot panic half-way, so a poisoned lock is as good as any.
    fn strict(&self) -> MutexGuard<'_, Strict> {
        self.strict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn drain_wakers(&self) -> &Wakers {
        &self.draining
    }

    /// The last acceptor, or the last socket, is gone.
    pub(crate) fn uncounted_one(&self) {
        self.phases.wake_all();
        self.empty.wake_all();
    }

    /// The number of connections has changed.
    fn changed(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.changes.wake_all();
        }
    }
}

impl fmt::Debug for ConnectionTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("limit", &self.0.limit)
            .field("active", &self.active())
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
