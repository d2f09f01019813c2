//! The tracker under any order of admissions, closes and changes of limits, without a socket.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use proptest::prelude::*;

use super::ConnectionTracker;
use super::alarm::Alarm;
use super::limits::Policy;
use super::permit::Permit;
use super::phase::PhaseEvent;
use super::rate::Rate;
use crate::address::Address;

/// A waker that records whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        self.0.store(false, Ordering::SeqCst);
        future.poll(&mut Context::from_waker(&Arc::clone(self).into()))
    }

    fn was_woken(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A call of the tracker.
#[derive(Clone, Debug)]
enum Event {
    /// A connection from this peer asks for admission.
    Admit(u8),
    /// A connection closes: the one with this index, modulo the number of connections.
    Close(usize),
    /// A connection is excluded from the limit, by the same index.
    Exclude(usize),
    Limit(usize),
    PerPeer(usize),
    Policy(Policy),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..4_u8).prop_map(Event::Admit),
        4 => any::<usize>().prop_map(Event::Close),
        2 => any::<usize>().prop_map(Event::Exclude),
        2 => (0..8_usize).prop_map(Event::Limit),
        1 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Event::PerPeer),
        1 => prop_oneof![Just(Policy::Queue), Just(Policy::Reject)].prop_map(Event::Policy),
    ]
}

fn peer(number: u8) -> Address {
    SocketAddr::from(([127, 0, 0, number], 1)).into()
}

/// A connection in the model.
struct ModelConnection {
    permit: Permit,
    counted: bool,
    /// The peer that counts it.
    of: Option<u8>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Ranch's `tcp_set_max_connections_clean`, and all of `tcp_max_connections*`, in any order.
    #[test]
    fn limits_hold_in_any_order_of_events(events in proptest::collection::vec(event(), 1..200)) {
        let tracker = ConnectionTracker::new().max_connections(3);
        let (mut limit, mut per_peer, mut policy) = (3, usize::MAX, Policy::Queue);
        let mut connections: Vec<ModelConnection> = Vec::new();
        let flag = Arc::new(Flag::default());
        for event in events {
            // An acceptor waits whenever no permit is free.
            let mut capacity = pin!(tracker.wait_for_capacity());
            let waits = flag.poll(capacity.as_mut()).is_pending();
            let counted = connections.iter().filter(|one| one.counted).count();
            prop_assert_eq!(waits, policy == Policy::Queue && counted >= limit);
            match event {
                Event::Admit(from) => {
                    let of_peer = connections.iter().filter(|one| one.of == Some(from)).count();
                    let expected = counted < limit && (per_peer == usize::MAX || of_peer < per_peer);
                    let entry = tracker.check_admission(&peer(from));
                    prop_assert_eq!(entry.is_ok(), expected);
                    if let Ok(permit) = entry {
                        let of = (per_peer != usize::MAX).then_some(from);
                        connections.push(ModelConnection { permit, counted: true, of });
                    }
                }
                Event::Close(number) if !connections.is_empty() => {
                    drop(connections.swap_remove(number % connections.len()));
                }
                Event::Exclude(number) if !connections.is_empty() => {
                    let number = number % connections.len();
                    connections[number].permit.exclude_from_limit();
                    connections[number].counted = false;
                }
                Event::Close(_) | Event::Exclude(_) => {}
                Event::Limit(new) => {
                    limit = new;
                    tracker.set_max_connections(new);
                }
                Event::PerPeer(new) => {
                    per_peer = new;
                    tracker.set_max_per_peer(new);
                }
                Event::Policy(new) => {
                    policy = new;
                    tracker.set_policy(new);
                }
            }
            let counted = connections.iter().filter(|one| one.counted).count();
            prop_assert_eq!((tracker.active(), tracker.all()), (counted, connections.len()));
            if waits && (counted < limit || policy == Policy::Reject) {
                prop_assert!(flag.was_woken(), "there is capacity and no task was woken");
                prop_assert!(flag.poll(capacity.as_mut()).is_ready());
            }
        }
        connections.clear();
        let metrics = tracker.metrics();
        prop_assert_eq!((metrics.active, metrics.all), (0, 0));
    }
}

#[test]
fn from_several_threads_there_are_never_more_than_the_limit() {
    let tracker = ConnectionTracker::new().max_connections(5);
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 1..=4 {
            let (tracker, inside, most) = (tracker.clone(), &inside, &most);
            scope.spawn(move || {
                for _ in 0..20_000 {
                    let Ok(permit) = tracker.check_admission(&peer(number)) else { continue };
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
        for limit in (0..=5).cycle().take(600) {
            tracker.set_max_connections(limit);
        }
    });
    assert!(most.into_inner() <= 5);
    assert_eq!((tracker.active(), tracker.all(), tracker.connections().len()), (0, 0, 0));
    assert!(tracker.max_connections(1).admit().is_some());
}

#[test]
fn from_several_threads_the_rate_is_never_exceeded() {
    const BURST: u32 = 1000;
    let tracker = ConnectionTracker::new();
    tracker.set_rate(Some(Rate::per(1, Duration::from_secs(3600)).burst(BURST)));
    tracker.set_max_per_peer(1);
    let full_peer = tracker.check_admission(&peer(1)).expect("the first of its peer");
    let admitted = AtomicU32::new(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (tracker, admitted) = (&tracker, &admitted);
            scope.spawn(move || {
                let mut number = 0;
                let mut next = || {
                    number += 1;
                    let address = if number % 2 == 0 { peer(1) } else { Address::unnamed() };
                    tracker.admit_next(|| Ok::<_, Infallible>(address), |address| address)
                };
                while let Ok(Some((address, result))) = next() {
                    // A peer above its limit takes no token. Any other connection has the token that was there.
                    assert_eq!(result.is_ok(), address == Address::unnamed());
                    admitted.fetch_add(u32::from(result.is_ok()), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((admitted.into_inner(), tracker.metrics().rejected.rate), (BURST, 0));
    drop(full_peer);
    assert_eq!((tracker.active(), tracker.all()), (0, 0));
}

#[test]
fn a_failed_accept_takes_no_permit_and_no_token() {
    let tracker = ConnectionTracker::new().max_connections(1);
    tracker.set_rate(Some(Rate::per(1, Duration::from_secs(3600))));
    for _ in 0..3 {
        assert!(tracker.admit_next(|| Err::<Address, _>(()), |address| address).is_err());
    }
    let admitted = tracker.admit_next(|| Ok::<_, ()>(peer(1)), |address| address);
    let (_, permit) = admitted.expect("it accepts").expect("a permit and a token");
    drop(permit.expect("the first connection"));
    let none = tracker
        .admit_next(|| -> Result<Address, ()> { panic!("accepts without a token") }, |address| address);
    assert!(none.expect("nothing is accepted").is_none());
    assert_eq!(tracker.active(), 0);
}

/// Uses the tracker when it is dropped, as a value may that an alarm's function owns.
struct UsesTracker(ConnectionTracker, Sender<()>);

impl Drop for UsesTracker {
    fn drop(&mut self) {
        self.0.set_alarms(Vec::new());
        // The test does not wait any more after its timeout.
        let _ = self.1.send(());
    }
}

#[test]
fn replaced_alarms_are_dropped_without_the_lock() {
    let tracker = ConnectionTracker::new();
    let (sender, dropped) = channel();
    let owned = UsesTracker(tracker.clone(), sender);
    tracker.set_alarms(vec![Alarm::at(1).call(move |_| {
        let _ = &owned;
    })]);
    // A thread of its own: with the lock held it would block for ever.
    std::thread::spawn(move || tracker.set_alarms(vec![Alarm::at(2)]));
    dropped.recv_timeout(Duration::from_secs(20)).expect("the drop uses the tracker");
}

#[test]
fn draining_resolves_only_at_the_stop() {
    let tracker = ConnectionTracker::new();
    let flag = Arc::new(Flag::default());
    let mut draining = tracker.draining();
    assert!(flag.poll(Pin::new(&mut draining)).is_pending());
    for event in [
        PhaseEvent::Suspend { keep: true },
        PhaseEvent::Suspend { keep: false },
        PhaseEvent::Resume,
        PhaseEvent::LameDuck,
    ] {
        assert!(tracker.apply(event));
        assert!(!flag.was_woken(), "{event:?} begins no drain");
    }
    assert!(tracker.apply(PhaseEvent::Stop));
    assert!(flag.was_woken());
    assert!(flag.poll(Pin::new(&mut draining)).is_ready());
    assert!(tracker.admit().is_none());
}

#[test]
fn waits_for_a_drain_end_at_a_new_start() {
    let tracker = ConnectionTracker::new();
    let (first, second) = (Arc::new(Flag::default()), Arc::new(Flag::default()));
    let (_listening, _permit) = (tracker.listening(), tracker.check_admission(&peer(1)).expect("no limit"));
    assert!(tracker.apply(PhaseEvent::Drain));
    let (mut wait_not_accepting, mut empty) =
        (pin!(tracker.wait_not_accepting()), pin!(tracker.wait_empty()));
    assert!(first.poll(wait_not_accepting.as_mut()).is_pending() && second.poll(empty.as_mut()).is_pending());
    for event in [PhaseEvent::Stop, PhaseEvent::Stopped, PhaseEvent::Start] {
        assert!(tracker.apply(event));
    }
    assert!(first.was_woken() && second.was_woken());
    assert!(first.poll(wait_not_accepting.as_mut()).is_ready() && second.poll(empty.as_mut()).is_ready());
}

#[test]
fn empty_means_no_socket_and_no_connection() {
    let tracker = ConnectionTracker::new();
    let flag = Arc::new(Flag::default());
    assert!(tracker.apply(PhaseEvent::Stop));
    let mut empty = pin!(tracker.wait_empty());
    let listening = tracker.listening();
    let permit = tracker.check_admission(&peer(1)).expect("no limit");
    assert!(flag.poll(empty.as_mut()).is_pending());
    drop(listening);
    assert!(flag.poll(empty.as_mut()).is_pending());
    drop(permit);
    assert!(flag.was_woken());
    assert!(flag.poll(empty.as_mut()).is_ready());
}
