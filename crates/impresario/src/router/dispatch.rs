//! The rules of dispatch, without sockets: events in, actions out.
//!
//! The worker with the fewest connections gets the next one; among equals the offers rotate. The router keeps a connection
//! until a worker has answered `Taken`. A worker that exits or refuses before that loses no connection.

use std::collections::{BTreeMap, HashMap, VecDeque};

use impresario_wire::StreamId;

/// Offers per worker without an answer. A worker that is stuck delays at most this many connections.
///
/// Their descriptors are in flight, which the kernel bounds by `RLIMIT_NOFILE` of the sender.
pub(crate) const MAX_UNANSWERED: usize = 64;

/// Workers that may exit with an unanswered offer of a connection before it is closed: it may be what crashes them.
pub(crate) const MAX_LOST_OFFERS: u32 = 16;

/// The port of one worker process. Ids are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker is ready.
    Up(WorkerId),
    /// A worker has exited, with all connections that it had taken.
    Down(WorkerId),
    /// A new connection.
    Arrived(StreamId),
    /// The worker has claimed the connection.
    Taken(WorkerId, StreamId),
    /// The worker has refused the connection: it is full or draining.
    Refused(WorkerId, StreamId),
    /// This many connections of the worker are closed.
    Released(WorkerId, usize),
    /// The retry timer has fired: workers that have refused get offers again.
    Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send the connection to the worker, and keep the descriptor.
    Offer(WorkerId, StreamId),
    /// A worker owns the connection: close the descriptor of the router.
    Forget(StreamId),
    /// Close the connection: [`MAX_LOST_OFFERS`] is reached.
    Close(StreamId),
}

#[derive(Debug, Default)]
struct Worker {
    connections: usize,
    unanswered: usize,
    /// It has refused, and neither a release nor a retry came since.
    is_full: bool,
}

#[derive(Debug, Default)]
struct Offer {
    to: Option<WorkerId>,
    lost: u32,
}

/// The state of all hand-overs of one router.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    workers: BTreeMap<WorkerId, Worker>,
    /// Connections that no worker has taken.
    pending: HashMap<StreamId, Offer>,
    /// Pending connections without an offer, oldest first.
    queue: VecDeque<StreamId>,
    /// The worker of the last offer. Among equals the next id after it is chosen.
    last: Option<WorkerId>,
    actions: VecDeque<Action>,
}

impl Dispatch {
    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Up(worker) => {
                self.workers.entry(worker).or_default();
            }
            Event::Down(worker) => self.down(worker),
            Event::Arrived(stream) => {
                self.pending.insert(stream, Offer::default());
                self.queue.push_back(stream);
            }
            Event::Taken(worker, stream) => {
                if self.on_answer(worker, stream) {
                    self.pending.remove(&stream);
                    self.actions.push_back(Action::Forget(stream));
                }
            }
            Event::Refused(worker, stream) => {
                if self.on_answer(worker, stream) {
                    self.release(worker, 1);
                    self.set_full(worker, true);
                    self.requeue(stream, 0);
                }
            }
            Event::Released(worker, count) => {
                self.release(worker, count);
                self.set_full(worker, false);
            }
            Event::Retry => self.workers.values_mut().for_each(|worker| worker.is_full = false),
        }
        self.offer();
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    #[cfg(test)]
    fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether connections wait for workers that have refused. Then the caller must arm a timer for [`Event::Retry`].
    pub(crate) fn wants_retry(&self) -> bool {
        !self.queue.is_empty() && self.workers.values().any(|worker| worker.is_full)
    }

    fn set_full(&mut self, worker: WorkerId, is_full: bool) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.is_full = is_full;
        }
    }

    fn release(&mut self, worker: WorkerId, count: usize) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            // Saturating, because a connection that an earlier router handed over is not counted here.
            worker.connections = worker.connections.saturating_sub(count);
        }
    }

    /// Ends the offer of this connection to this worker. `false`: there is no such offer, and nothing changes.
    fn on_answer(&mut self, worker: WorkerId, stream: StreamId) -> bool {
        let Some(offer) = self.pending.get_mut(&stream).filter(|offer| offer.to == Some(worker)) else {
            return false;
        };
        offer.to = None;
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.unanswered = worker.unanswered.saturating_sub(1);
        }
        true
    }

    fn down(&mut self, worker: WorkerId) {
        if self.workers.remove(&worker).is_none() {
            return;
        }
        let mut orphans: Vec<StreamId> = self
            .pending
            .iter()
            .filter(|(_, offer)| offer.to == Some(worker))
            .map(|(stream, _)| *stream)
            .collect();
        orphans.sort_unstable();
        for stream in orphans.into_iter().rev() {
            self.requeue(stream, 1);
        }
    }

    /// Puts a connection to the front of the queue, because it has waited longest, or closes it at [`MAX_LOST_OFFERS`].
    fn requeue(&mut self, stream: StreamId, lost: u32) {
        let Some(offer) = self.pending.get_mut(&stream) else { return };
        offer.to = None;
        offer.lost += lost;
        if offer.lost < MAX_LOST_OFFERS {
            self.queue.push_front(stream);
        } else {
            self.pending.remove(&stream);
            self.actions.push_back(Action::Close(stream));
        }
    }

    fn offer(&mut self) {
        while !self.queue.is_empty() {
            let Some(id) = self.choose() else { return };
            let Some(stream) = self.queue.pop_front() else { return };
            if let (Some(worker), Some(offer)) = (self.workers.get_mut(&id), self.pending.get_mut(&stream)) {
                worker.connections += 1;
                worker.unanswered += 1;
                offer.to = Some(id);
                self.last = Some(id);
                self.actions.push_back(Action::Offer(id, stream));
            }
        }
    }

    fn choose(&self) -> Option<WorkerId> {
        let has_capacity = |worker: &Worker| !worker.is_full && worker.unanswered < MAX_UNANSWERED;
        let candidates = self.workers.iter().filter(|(_, worker)| has_capacity(worker));
        // Rotation among equals: ids after the last one come first.
        let rank = |id: WorkerId| (self.last.is_some_and(|last| id <= last), id);
        candidates.min_by_key(|(id, worker)| (worker.connections, rank(**id))).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: WorkerId = WorkerId(1);
    const B: WorkerId = WorkerId(2);

    fn stream(number: u64) -> StreamId {
        StreamId::from_number(number)
    }

    fn feed(dispatch: &mut Dispatch, event: Event) -> Vec<Action> {
        dispatch.handle(event);
        std::iter::from_fn(|| dispatch.poll_action()).collect()
    }

    fn two_workers() -> Dispatch {
        let mut dispatch = Dispatch::default();
        assert_eq!(feed(&mut dispatch, Event::Up(A)), []);
        assert_eq!(feed(&mut dispatch, Event::Up(B)), []);
        dispatch
    }

    #[test]
    fn offers_rotate_and_prefer_the_fewest_connections() {
        let mut dispatch = two_workers();
        let mut to = |number| match feed(&mut dispatch, Event::Arrived(stream(number)))[..] {
            [Action::Offer(worker, _)] => worker,
            ref other => panic!("{other:?}"),
        };
        assert_eq!([to(1), to(2), to(3), to(4)], [A, B, A, B]);
        feed(&mut dispatch, Event::Taken(B, stream(2)));
        feed(&mut dispatch, Event::Released(B, 1));
        assert_eq!(feed(&mut dispatch, Event::Arrived(stream(5))), [Action::Offer(B, stream(5))]);
    }

    #[test]
    fn taken_forgets_the_connection() {
        let mut dispatch = two_workers();
        feed(&mut dispatch, Event::Arrived(stream(1)));
        assert_eq!(feed(&mut dispatch, Event::Taken(B, stream(1))), [], "B was not offered it");
        assert_eq!(feed(&mut dispatch, Event::Taken(A, stream(1))), [Action::Forget(stream(1))]);
        assert_eq!(feed(&mut dispatch, Event::Taken(A, stream(1))), []);
        assert_eq!(dispatch.pending(), 0);
    }

    #[test]
    fn connections_of_a_crashed_worker_are_offered_again() {
        let mut dispatch = two_workers();
        feed(&mut dispatch, Event::Arrived(stream(1)));
        feed(&mut dispatch, Event::Arrived(stream(2)));
        feed(&mut dispatch, Event::Arrived(stream(3)));
        let offers = [Action::Offer(B, stream(1)), Action::Offer(B, stream(3))];
        assert_eq!(feed(&mut dispatch, Event::Down(A)), offers, "in the order of arrival");
        assert_eq!(feed(&mut dispatch, Event::Down(B)), []);
        assert_eq!(
            feed(&mut dispatch, Event::Up(WorkerId(3))).len(),
            3,
            "pending connections go to the next worker"
        );
    }

    #[test]
    fn a_full_worker_gets_no_offer_until_release_or_retry() {
        let mut dispatch = two_workers();
        assert_eq!(feed(&mut dispatch, Event::Arrived(stream(1))), [Action::Offer(A, stream(1))]);
        assert_eq!(feed(&mut dispatch, Event::Refused(A, stream(1))), [Action::Offer(B, stream(1))]);
        assert!(!dispatch.wants_retry(), "B may take it");
        assert_eq!(feed(&mut dispatch, Event::Refused(B, stream(1))), []);
        assert!(dispatch.wants_retry(), "the connection is pending");
        assert_eq!(feed(&mut dispatch, Event::Released(B, 1)), [Action::Offer(B, stream(1))]);
        feed(&mut dispatch, Event::Refused(B, stream(1)));
        let retried = feed(&mut dispatch, Event::Retry);
        assert!(matches!(retried[..], [Action::Offer(_, _)]), "{retried:?}");
    }

    #[test]
    fn a_connection_is_closed_after_max_lost_offers() {
        let mut dispatch = Dispatch::default();
        feed(&mut dispatch, Event::Arrived(stream(1)));
        for number in 1..=u64::from(MAX_LOST_OFFERS) {
            let worker = WorkerId(number);
            assert_eq!(feed(&mut dispatch, Event::Up(worker)), [Action::Offer(worker, stream(1))]);
            let closed = feed(&mut dispatch, Event::Down(worker));
            assert_eq!(closed == [Action::Close(stream(1))], number == u64::from(MAX_LOST_OFFERS));
        }
    }

    #[test]
    fn unanswered_offers_of_a_worker_are_bounded() {
        let mut dispatch = Dispatch::default();
        feed(&mut dispatch, Event::Up(A));
        let offered = |dispatch: &mut Dispatch, number| feed(dispatch, Event::Arrived(stream(number))).len();
        for number in 0..MAX_UNANSWERED as u64 {
            assert_eq!(offered(&mut dispatch, number), 1);
        }
        assert_eq!(offered(&mut dispatch, 9_999), 0);
        let actions = feed(&mut dispatch, Event::Taken(A, stream(0)));
        assert_eq!(actions, [Action::Forget(stream(0)), Action::Offer(A, stream(9_999))]);
    }

    #[test]
    fn a_release_of_an_unknown_connection_is_ignored() {
        let mut dispatch = two_workers();
        feed(&mut dispatch, Event::Released(A, 1));
        assert_eq!(feed(&mut dispatch, Event::Arrived(stream(1))), [Action::Offer(A, stream(1))]);
    }
}
