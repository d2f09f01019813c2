//! Transitions: a range of children is stopped in reverse, or started in order, one child at a time.

use std::ops::Range;

use super::children::RunState;
use super::{Direction, Phase, QueuedEvent, Supervisor, Transition, TransitionKind};
use crate::event::Action;
use crate::id::ChildKey;
use crate::policy::spec::{Restart, Shutdown};
use crate::reason::ExitReason;
use crate::report::ReportKind;
use crate::request::{Reply, RequestError, RequestId};
use crate::time::Time;

impl Transition {
    pub(super) fn stop(range: Range<usize>, kind: TransitionKind) -> Self {
        Self { next: range.end, range, direction: Direction::Stop, kind, requester: None }
    }

    pub(super) fn start(range: Range<usize>, kind: TransitionKind) -> Self {
        Self { next: range.start, range, direction: Direction::Start, kind, requester: None }
    }

    pub(super) fn requested_by(mut self, requester: RequestId, child: ChildKey) -> Self {
        self.requester = Some((requester, child));
        self
    }

    /// Adjusts the positions after the child that was to be started is removed from the list.
    pub(super) fn skip_current(&mut self) {
        self.next -= 1;
        self.range.end -= 1;
    }

    pub(super) fn into_requester(self) -> Option<RequestId> {
        self.requester.map(|(requester, _)| requester)
    }
}

impl Supervisor {
    /// Continues the transition, then handles queued events, until a child starts or stops or the queue is empty.
    pub(super) fn advance(&mut self, now: Time) {
        while self.in_transition.is_none() && self.phase != Phase::Terminated {
            let Some(transition) = &mut self.transition else {
                if self.phase == Phase::New {
                    return;
                }
                let Some(event) = self.queue.pop_front() else { return };
                self.handle_queued(now, event);
                continue;
            };
            match transition.direction {
                Direction::Stop if transition.next > transition.range.start => {
                    transition.next -= 1;
                    let at = transition.next;
                    self.stop_at(now, at);
                }
                Direction::Start if transition.next < transition.range.end => {
                    let at = transition.next;
                    transition.next += 1;
                    self.start_at(now, at);
                }
                Direction::Stop => self.all_stopped(),
                Direction::Start => self.all_started(),
            }
        }
    }

    fn stop_at(&mut self, now: Time, at: usize) {
        let child = &mut self.children[at];
        match std::mem::replace(&mut child.state, RunState::Down) {
            RunState::Down => self.on_stopped(at),
            RunState::Exited { reason, .. } => self.stopped(at, reason),
            // It was killed when its start timed out. An incarnation is killed at most once.
            RunState::Starting { timed_out: true, .. } => {
                child.state = RunState::Stopping { deadline: None, timed_out: true };
                self.in_transition = Some(child.key);
            }
            RunState::Starting { .. } | RunState::Running { .. } | RunState::Stopping { .. } => {
                let incarnation = child.incarnation;
                let (action, deadline) = match child.spec.shutdown {
                    Shutdown::Kill => (Action::Kill(incarnation), None),
                    Shutdown::Timeout(after) => (Action::Stop(incarnation), Some(now + after)),
                    Shutdown::Infinity => (Action::Stop(incarnation), None),
                };
                child.state = RunState::Stopping { deadline, timed_out: false };
                self.in_transition = Some(child.key);
                self.actions.push_back(action);
            }
        }
    }

    /// Stops the child that is starting, so that a shutdown does not wait for its start.
    ///
    /// The child was started last, so stopping it first keeps the reverse order.
    pub(super) fn abandon_start(&mut self, now: Time) {
        if let Some(at) = self.in_transition_at() {
            self.in_transition = None;
            self.stop_at(now, at);
        }
    }

    /// Reports an unexpected reason of a child that was to stop.
    pub(super) fn stopped(&mut self, at: usize, reason: ExitReason) {
        if !self.children[at].spec.is_expected_stop(&reason) {
            self.report(ReportKind::ShutdownError, at, reason);
        }
        self.on_stopped(at);
    }

    fn on_stopped(&mut self, at: usize) {
        let shutting_down = matches!(self.phase, Phase::ShuttingDown(_));
        let Some(transition) = &mut self.transition else { return };
        let child = &self.children[at];
        let will_restart = child.restarting
            && matches!(transition.kind, TransitionKind::Restart | TransitionKind::StopForBackoff);
        // A temporary sibling is not restarted with the group, so its entry is removed here.
        if child.spec.restart == Restart::Temporary && !shutting_down && !will_restart {
            transition.range.end -= 1;
            self.remove(at);
        } else if transition.kind != TransitionKind::StopForBackoff {
            self.cancel_restart(at);
        }
    }

    fn all_stopped(&mut self) {
        let Some(transition) = self.transition.take() else { return };
        match transition.kind {
            TransitionKind::Restart => {
                let requester = transition.requester;
                let start = Transition::start(transition.range, TransitionKind::Restart);
                self.transition = Some(Transition { requester, ..start });
            }
            TransitionKind::Terminate => {
                let done = transition.requester.map(|(requester, _)| Action::Reply(requester, Reply::Done));
                self.actions.extend(done);
            }
            TransitionKind::Shutdown => self.exit(),
            TransitionKind::StopForBackoff | TransitionKind::FirstStart | TransitionKind::Start { .. } => {}
        }
    }

    fn exit(&mut self) {
        for event in std::mem::take(&mut self.queue) {
            if let QueuedEvent::Request(id, _) = event {
                self.refuse(id, RequestError::ShuttingDown);
            }
        }
        if let Phase::ShuttingDown(reason) = std::mem::replace(&mut self.phase, Phase::Terminated) {
            self.actions.push_back(Action::Exit(reason));
        }
    }

    fn start_at(&mut self, now: Time, at: usize) {
        let key = self.children[at].key;
        let incarnation = self.new_incarnation(key);
        let child = &mut self.children[at];
        child.incarnation = incarnation;
        child.starts += 1;
        let deadline = child.spec.start_timeout.map(|after| now + after);
        child.state = RunState::Starting { deadline, timed_out: false };
        self.in_transition = Some(key);
        self.actions.push_back(Action::Start(key, incarnation));
    }

    fn all_started(&mut self) {
        let Some(transition) = self.transition.take() else { return };
        if transition.kind == TransitionKind::FirstStart {
            self.phase = Phase::Running;
            self.actions.push_back(Action::Ready);
        }
    }
}
