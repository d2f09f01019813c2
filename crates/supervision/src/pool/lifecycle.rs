//! Starts, loads, stops and exits of workers.

use super::WorkerPool;
use super::event::Action;
use super::id::{Generation, WorkerId};
use super::reason::{RecycleReason, RetireReason};
use super::report::{Report, StartOutcome};
use super::worker::{Idle, State, Worker};
use crate::id::Incarnation;
use crate::reason::ExitReason;
use crate::time::Time;

impl WorkerPool {
    fn position(&self, id: WorkerId) -> Option<usize> {
        let at = self.workers.binary_search_by_key(&id.incarnation, |worker| worker.id.incarnation).ok()?;
        (self.workers[at].id == id).then_some(at)
    }

    fn worker(&mut self, id: WorkerId) -> Option<&mut Worker> {
        self.position(id).map(|at| &mut self.workers[at])
    }

    pub(super) fn report(&mut self, report: Report) {
        self.actions.push_back(Action::Report(report));
    }

    pub(super) fn start(&mut self, now: Time, slot: u32, generation: Generation) {
        let life = Incarnation(self.next_incarnation);
        self.next_incarnation += 1;
        let id = WorkerId { slot, incarnation: life };
        let deadline = self.settings.start_timeout.map(|after| now + after);
        // Incarnations only grow, so the list stays sorted for the binary search in `position`.
        self.workers.push(Worker::new(id, generation, deadline));
        self.actions.push_back(Action::Start(id, generation));
    }

    pub(super) fn started(&mut self, now: Time, id: WorkerId) {
        let Some(worker) = self.worker(id).filter(|worker| worker.is_starting()) else { return };
        worker.state = State::Ready { since: now, idle: Some(Idle::from(now)) };
        self.report(Report::Start(id, StartOutcome::Ready));
    }

    /// Handles `Exited` and `StartFailed`.
    pub(super) fn exited(&mut self, now: Time, id: WorkerId, reason: ExitReason) {
        let Some(at) = self.position(id) else { return };
        let worker = self.workers.remove(at);
        match worker.state {
            State::Starting { .. } => {
                self.report(Report::Start(id, StartOutcome::Failed(reason.clone())));
                self.record_failure(now, &worker, None, reason);
            }
            State::Ready { since, .. } => {
                self.report(Report::Died(id, reason.clone()));
                self.record_failure(now, &worker, Some(since), reason);
            }
            State::Retiring { was_ready: true, .. } if !reason.is_clean() => {
                self.report(Report::UncleanExit(id, reason));
            }
            State::Killed { overdue: true } => self.report(Report::UncleanExit(id, reason)),
            State::Retiring { .. } | State::Killed { .. } => {}
        }
    }

    /// Records the failure of a worker that was to stay: its slot backs off, and a roll has one failure more.
    fn record_failure(&mut self, now: Time, worker: &Worker, since: Option<Time>, reason: ExitReason) {
        if worker.generation != self.generations.current || worker.recycled {
            return;
        }
        let slot = worker.id.slot;
        let backoff = self.slot_backoffs.entry(slot).or_default();
        let restart = backoff.state.failed(now, since, &self.settings.backoff, &mut self.rng);
        let is_delayed = !restart.delay.is_zero();
        backoff.until = is_delayed.then(|| now + restart.delay);
        if is_delayed {
            self.report(Report::BackingOff { slot, restart });
        }
        self.roll_failed(reason);
    }

    pub(super) fn load(&mut self, now: Time, id: WorkerId, active: u32) {
        if let Some(worker) = self.worker(id).filter(|worker| !worker.is_starting()) {
            worker.load(now, active);
        }
    }

    pub(super) fn usage(&mut self, id: WorkerId, requests: u64, memory: u64) {
        if let Some(worker) = self.worker(id) {
            worker.requests = requests;
            worker.memory = memory;
        }
    }

    pub(super) fn recycle_on_request(&mut self, now: Time, id: WorkerId) {
        if let Some(worker) = self.worker(id).filter(|worker| worker.is_ready() && !worker.recycled) {
            // `reconfigure` clears `due` for reached limits but not for requests. It keeps its earlier position.
            let since = worker.due.map_or(now, |(since, _)| since);
            worker.due = Some((since, RecycleReason::Asked));
        }
    }

    /// Retires the worker at this index. For one that is starting, the start has failed.
    pub(super) fn retire(&mut self, now: Time, at: usize, reason: RetireReason) {
        let deadline = self.settings.retire_timeout.map(|after| now + after);
        let worker = &mut self.workers[at];
        let id = worker.id;
        let was_ready = match worker.state {
            State::Starting { .. } => {
                self.actions
                    .push_back(Action::Report(Report::Start(id, StartOutcome::Failed(ExitReason::Shutdown))));
                false
            }
            State::Ready { since, .. } => {
                if now.saturating_since(since) >= self.settings.backoff.reset_after {
                    self.slot_backoffs.remove(&id.slot);
                }
                true
            }
            State::Retiring { .. } | State::Killed { .. } => return,
        };
        worker.state = State::Retiring { deadline, was_ready };
        self.actions.push_back(Action::Retire(id, reason));
    }

    /// Kills workers that have passed the deadline of their start or retirement.
    pub(super) fn expire(&mut self, now: Time) {
        for at in 0..self.workers.len() {
            let worker = &mut self.workers[at];
            if worker.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            let id = worker.id;
            let was_starting = worker.is_starting();
            let overdue = matches!(worker.state, State::Retiring { was_ready: true, .. });
            worker.state = State::Killed { overdue };
            self.actions.push_back(Action::Kill(id));
            if was_starting {
                self.report(Report::Start(id, StartOutcome::TimedOut));
                let worker = self.workers[at].clone();
                self.record_failure(now, &worker, None, ExitReason::StartTimeout);
            }
        }
    }

    /// Kills all workers that were not killed before.
    pub(super) fn kill_all(&mut self) {
        for worker in &mut self.workers {
            if worker.is_starting() {
                let outcome = StartOutcome::Failed(ExitReason::Killed);
                self.actions.push_back(Action::Report(Report::Start(worker.id, outcome)));
            }
            if !matches!(worker.state, State::Killed { .. }) {
                worker.state = State::Killed { overdue: false };
                self.actions.push_back(Action::Kill(worker.id));
            }
        }
    }
}
