//! Which worker gets a connection, decided without a socket: events in, actions out.
//!
//! The worker with the fewest connections gets the next one; among equals they take turns. A connection belongs to
//! the router until a worker has said *taken*: until then a worker that dies or refuses costs it nothing but time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use impresario_wire::StreamId;

/// How many connections one worker may have been offered and not answered. Their descriptors are in flight, which
/// the kernel bounds too; a worker that stands still keeps no more than these.
pub(crate) const MAX_UNANSWERED: usize = 64;

/// How many workers may die with a connection that they were offered before it is closed: it might be the reason.
pub(crate) const MAX_DEATHS: u32 = 16;

/// Names a worker's port for as long as it lives. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A worker is ready.
    Up(WorkerId),
    /// A worker is gone, with every connection that it had taken.
    Down(WorkerId),
    /// A new connection.
    Arrived(StreamId),
    /// The worker owns the connection now.
    Taken(WorkerId, StreamId),
    /// The worker does not want the connection.
    Refused(WorkerId, StreamId),
    /// A connection that the worker owned has ended.
    Released(WorkerId),
    /// Time has passed: workers that refused may be asked again.
    Retry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Offer the connection to the worker, and keep it.
    Offer(WorkerId, StreamId),
    /// The connection is somebody else's now: drop our copy.
    Forget(StreamId),
    /// Nobody wants the connection: close it.
    Close(StreamId),
}

#[derive(Debug, Default)]
struct Worker {
    connections: usize,
    unanswered: usize,
    /// It has refused, because it is full or on its way out, and nothing has changed since.
    refuses: bool,
}

#[derive(Debug, Default)]
struct Offer {
    to: Option<WorkerId>,
    deaths: u32,
}

/// The state of all hand-overs of one router.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    workers: BTreeMap<WorkerId, Worker>,
    /// Connections that are still ours.
    held: HashMap<StreamId, Offer>,
    /// Those that no worker has been offered yet, oldest first.
    queue: VecDeque<StreamId>,
    /// Who got the last one: the next among equals comes after it.
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
                self.held.insert(stream, Offer::default());
                self.queue.push_back(stream);
            }
            Event::Taken(worker, stream) => {
                if self.answered(worker, stream) {
                    self.held.remove(&stream);
                    self.actions.push_back(Action::Forget(stream));
                }
            }
            Event::Refused(worker, stream) => {
                if self.answered(worker, stream) {
                    self.released(worker);
                    self.refuses(worker, true);
                    self.offer_again(stream, 0);
                }
            }
            Event::Released(worker) => {
                self.released(worker);
                self.refuses(worker, false);
            }
            Event::Retry => self.workers.values_mut().for_each(|worker| worker.refuses = false),
        }
        self.offer();
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// How many connections are still ours.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether connections wait for workers that refuse: then a [`Event::Retry`] is due some time.
    pub(crate) fn wants_retry(&self) -> bool {
        !self.queue.is_empty() && self.workers.values().any(|worker| worker.refuses)
    }

    fn refuses(&mut self, worker: WorkerId, refuses: bool) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.refuses = refuses;
        }
    }

    fn released(&mut self, worker: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            // A connection that an earlier router handed over was never counted here.
            worker.connections = worker.connections.saturating_sub(1);
        }
    }

    /// Whether this worker was offered this connection. An answer about anything else changes nothing.
    fn answered(&mut self, worker: WorkerId, stream: StreamId) -> bool {
        let Some(offer) = self.held.get_mut(&stream).filter(|offer| offer.to == Some(worker)) else {
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
            .held
            .iter()
            .filter(|(_, offer)| offer.to == Some(worker))
            .map(|(stream, _)| *stream)
            .collect();
        orphans.sort_unstable();
        for stream in orphans.into_iter().rev() {
            self.offer_again(stream, 1);
        }
    }

    /// It has waited longer than those in the queue, so it goes to the front.
    fn offer_again(&mut self, stream: StreamId, deaths: u32) {
        let Some(offer) = self.held.get_mut(&stream) else { return };
        offer.to = None;
        offer.deaths += deaths;
        if offer.deaths < MAX_DEATHS {
            self.queue.push_front(stream);
        } else {
            self.held.remove(&stream);
            self.actions.push_back(Action::Close(stream));
        }
    }

    fn offer(&mut self) {
        while !self.queue.is_empty() {
            let Some(id) = self.choose() else { return };
            let Some(stream) = self.queue.pop_front() else { return };
            if let (Some(worker), Some(offer)) = (self.workers.get_mut(&id), self.held.get_mut(&stream)) {
                worker.connections += 1;
                worker.unanswered += 1;
                offer.to = Some(id);
                self.last = Some(id);
                self.actions.push_back(Action::Offer(id, stream));
            }
        }
    }

    fn choose(&self) -> Option<WorkerId> {
        let takes = |worker: &Worker| !worker.refuses && worker.unanswered < MAX_UNANSWERED;
        let free = self.workers.iter().filter(|(_, worker)| takes(worker));
        // Equals take turns: who comes after the last one goes before who does not.
        let turn = |id: WorkerId| (self.last.is_some_and(|last| id <= last), id);
        free.min_by_key(|(id, worker)| (worker.connections, turn(**id))).map(|(id, _)| *id)
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

    fn tell(dispatch: &mut Dispatch, event: Event) -> Vec<Action> {
        dispatch.handle(event);
        std::iter::from_fn(|| dispatch.poll_action()).collect()
    }

    fn two() -> Dispatch {
        let mut dispatch = Dispatch::default();
        assert_eq!(tell(&mut dispatch, Event::Up(A)), []);
        assert_eq!(tell(&mut dispatch, Event::Up(B)), []);
        dispatch
    }

    #[test]
    fn equals_take_turns_and_the_least_busy_goes_first() {
        let mut dispatch = two();
        let mut to = |number| match tell(&mut dispatch, Event::Arrived(stream(number)))[..] {
            [Action::Offer(worker, _)] => worker,
            ref other => panic!("{other:?}"),
        };
        assert_eq!([to(1), to(2), to(3), to(4)], [A, B, A, B]);
        tell(&mut dispatch, Event::Taken(B, stream(2)));
        tell(&mut dispatch, Event::Released(B));
        assert_eq!(tell(&mut dispatch, Event::Arrived(stream(5))), [Action::Offer(B, stream(5))]);
    }

    #[test]
    fn taken_ends_it() {
        let mut dispatch = two();
        tell(&mut dispatch, Event::Arrived(stream(1)));
        assert_eq!(tell(&mut dispatch, Event::Taken(B, stream(1))), [], "B was not offered it");
        assert_eq!(tell(&mut dispatch, Event::Taken(A, stream(1))), [Action::Forget(stream(1))]);
        assert_eq!(tell(&mut dispatch, Event::Taken(A, stream(1))), []);
        assert_eq!(dispatch.held(), 0);
    }

    #[test]
    fn a_worker_that_dies_in_between_costs_nothing() {
        let mut dispatch = two();
        tell(&mut dispatch, Event::Arrived(stream(1)));
        tell(&mut dispatch, Event::Arrived(stream(2)));
        tell(&mut dispatch, Event::Arrived(stream(3)));
        let offers = [Action::Offer(B, stream(1)), Action::Offer(B, stream(3))];
        assert_eq!(tell(&mut dispatch, Event::Down(A)), offers, "in the order of arrival");
        assert_eq!(tell(&mut dispatch, Event::Down(B)), []);
        assert_eq!(
            tell(&mut dispatch, Event::Up(WorkerId(3))).len(),
            3,
            "who waits is served by the next one"
        );
    }

    #[test]
    fn who_refuses_is_not_asked_again_until_something_changes() {
        let mut dispatch = two();
        assert_eq!(tell(&mut dispatch, Event::Arrived(stream(1))), [Action::Offer(A, stream(1))]);
        assert_eq!(tell(&mut dispatch, Event::Refused(A, stream(1))), [Action::Offer(B, stream(1))]);
        assert!(!dispatch.wants_retry(), "B may take it");
        assert_eq!(tell(&mut dispatch, Event::Refused(B, stream(1))), []);
        assert!(dispatch.wants_retry(), "it waits");
        assert_eq!(tell(&mut dispatch, Event::Released(B)), [Action::Offer(B, stream(1))]);
        tell(&mut dispatch, Event::Refused(B, stream(1)));
        let retried = tell(&mut dispatch, Event::Retry);
        assert!(matches!(retried[..], [Action::Offer(_, _)]), "{retried:?}");
    }

    #[test]
    fn what_kills_every_worker_is_closed() {
        let mut dispatch = Dispatch::default();
        tell(&mut dispatch, Event::Arrived(stream(1)));
        for number in 1..=u64::from(MAX_DEATHS) {
            let worker = WorkerId(number);
            assert_eq!(tell(&mut dispatch, Event::Up(worker)), [Action::Offer(worker, stream(1))]);
            let closed = tell(&mut dispatch, Event::Down(worker));
            assert_eq!(closed == [Action::Close(stream(1))], number == u64::from(MAX_DEATHS));
        }
    }

    #[test]
    fn a_worker_that_does_not_answer_gets_no_more() {
        let mut dispatch = Dispatch::default();
        tell(&mut dispatch, Event::Up(A));
        let offered = |dispatch: &mut Dispatch, number| tell(dispatch, Event::Arrived(stream(number))).len();
        for number in 0..MAX_UNANSWERED as u64 {
            assert_eq!(offered(&mut dispatch, number), 1);
        }
        assert_eq!(offered(&mut dispatch, 9_999), 0);
        let actions = tell(&mut dispatch, Event::Taken(A, stream(0)));
        assert_eq!(actions, [Action::Forget(stream(0)), Action::Offer(A, stream(9_999))]);
    }

    #[test]
    fn a_new_router_does_not_count_below_zero() {
        let mut dispatch = two();
        tell(&mut dispatch, Event::Released(A));
        assert_eq!(tell(&mut dispatch, Event::Arrived(stream(1))), [Action::Offer(A, stream(1))]);
    }
}
