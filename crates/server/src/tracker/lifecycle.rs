//! The phase of a listener behind the tracker: applying an event, and waiting for a phase or a count.

use std::sync::atomic::Ordering;

use super::ConnectionTracker;
use super::draining::Draining;
use super::phase::{Phase, PhaseEvent};
use super::shared::ActiveGuard;
use super::wait::Waiter;

impl ConnectionTracker {
    /// A future that resolves when the drain begins.
    pub fn draining(&self) -> Draining {
        Draining::new(self.shared())
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.phase().is_draining()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.shared().phase()
    }

    /// Applies an event to the phase, and wakes the tasks that wait for a phase. `false` when the event changes nothing in
    /// this phase.
    pub(crate) fn apply(&self, event: PhaseEvent) -> bool {
        let shared = self.shared();
        let next = |number| Phase::numbered(number).after(event).map(Phase::number);
        let applied = shared.phase.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok();
        if applied {
            shared.phases.wake_all();
            shared.empty.wake_all();
            if self.is_draining() {
                shared.draining.wake_all();
            }
        }
        applied
    }

    /// The number of acceptors that run.
    pub(crate) fn acceptors(&self) -> usize {
        self.shared().acceptors.load(Ordering::SeqCst)
    }

    /// The number of acceptors that run, and whether the supervisor of the connections runs.
    pub(crate) fn alive_children(&self) -> (usize, bool) {
        (self.acceptors(), self.shared().supervisor.pid().is_some_and(|pid| pid.is_alive()))
    }

    /// Counts an acceptor until the guard is dropped.
    pub(crate) fn accepting(&self) -> ActiveGuard {
        ActiveGuard::new(self.shared(), |shared| &shared.acceptors)
    }

    /// Counts a socket that an acceptor accepts on, until the guard is dropped.
    pub(crate) fn listening(&self) -> ActiveGuard {
        ActiveGuard::new(self.shared(), |shared| &shared.listening)
    }

    fn is_listening(&self) -> bool {
        self.shared().listening.load(Ordering::SeqCst) > 0
    }

    /// Waits until `wanted` holds for the phase.
    pub(crate) async fn until_phase(&self, wanted: impl Fn(Phase) -> bool) {
        let waiter = Waiter::new(self.shared(), |shared| &shared.phases);
        waiter.until(|| wanted(self.phase()).then_some(())).await;
    }

    /// Waits until no acceptor accepts on a socket, or another caller has resumed the listener.
    pub(crate) async fn wait_not_accepting(&self) {
        let done = || !self.is_listening() || self.phase().accepts();
        Waiter::new(self.shared(), |shared| &shared.phases).until(|| done().then_some(())).await;
    }

    /// Waits until no acceptor accepts on a socket and no connection is left, or the listener was started again.
    pub(crate) async fn wait_empty(&self) {
        let empty = || !self.is_listening() && self.all() == 0;
        let done = || empty() || self.phase() == Phase::Open;
        Waiter::new(self.shared(), |shared| &shared.empty).until(|| done().then_some(())).await;
    }

    /// Waits until `wanted` holds for the number of connections that count against the limit.
    pub(crate) async fn until_active(&self, wanted: impl Fn(usize) -> bool) {
        let waiter = Waiter::new(self.shared(), |shared| &shared.changes);
        let _watching = ActiveGuard::new(self.shared(), |shared| &shared.watchers);
        waiter.until(|| wanted(self.active()).then_some(())).await;
    }
}
