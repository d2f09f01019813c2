//! How work gets done: a range of children is taken down from its end, then brought up from its start, one child
//! at a time.

use std::ops::Range;

use crate::children::Life;
use crate::supervisor::{Item, Phase};
use crate::{
    Action, ChildKey, ExitReason, Reply, ReportKind, RequestError, RequestId, Restart, Shutdown, Supervisor,
    Time,
};

/// The work under way.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    range: Range<usize>,
    /// Going down: everything from here to the end of the range is down. Going up: everything before is up.
    next: usize,
    direction: Direction,
    pub(crate) purpose: Purpose,
    /// Who is told how it went with this child.
    pub(crate) asker: Option<(RequestId, ChildKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Down,
    Up,
}

/// Why, and so what follows when it is done and when a start fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// All up, in order; a failure ends the supervisor.
    FirstStart,
    /// Down, then up again; a failure is retried.
    Restart,
    /// Down; a wake-up will bring it up.
    Park,
    /// One up because somebody asked; a failure is the answer, and nothing is kept of a child that was added.
    Start { added: bool },
    /// One down because somebody asked.
    Terminate,
    /// All down, then exit.
    Leave,
}

impl Turn {
    pub(crate) fn take_down(range: Range<usize>, purpose: Purpose) -> Self {
        Self { next: range.end, range, direction: Direction::Down, purpose, asker: None }
    }

    pub(crate) fn bring_up(range: Range<usize>, purpose: Purpose) -> Self {
        Self { next: range.start, range, direction: Direction::Up, purpose, asker: None }
    }

    pub(crate) fn asked_by(mut self, asker: RequestId, child: ChildKey) -> Self {
        self.asker = Some((asker, child));
        self
    }

    /// The child that was to be brought up is not in the list any more.
    pub(crate) fn leave_out(&mut self) {
        self.next -= 1;
        self.range.end -= 1;
    }

    pub(crate) fn into_asker(self) -> Option<RequestId> {
        self.asker.map(|(asker, _)| asker)
    }
}

impl Supervisor {
    /// Goes on until something must be waited for.
    pub(crate) fn advance(&mut self, now: Time) {
        while self.busy.is_none() && self.phase != Phase::Gone {
            let Some(turn) = &mut self.turn else {
                if self.phase == Phase::New {
                    return;
                }
                let Some(item) = self.inbox.pop_front() else { return };
                self.decide(now, item);
                continue;
            };
            match turn.direction {
                Direction::Down if turn.next > turn.range.start => {
                    turn.next -= 1;
                    let at = turn.next;
                    self.take_down(now, at);
                }
                Direction::Up if turn.next < turn.range.end => {
                    let at = turn.next;
                    turn.next += 1;
                    self.bring_up(now, at);
                }
                Direction::Down => self.all_down(),
                Direction::Up => self.all_up(),
            }
        }
    }

    fn take_down(&mut self, now: Time, at: usize) {
        let child = &mut self.children[at];
        match std::mem::replace(&mut child.life, Life::Down) {
            Life::Down => self.is_down(at),
            Life::Dead { reason, .. } => self.stopped(at, reason),
            // Its start took too long and it was killed for that; one kill is enough.
            Life::Starting { timed_out: true, .. } => {
                child.life = Life::Stopping { deadline: None, timed_out: true };
                self.busy = Some(child.key);
            }
            Life::Starting { .. } | Life::Running { .. } | Life::Stopping { .. } => {
                let life = child.incarnation;
                let (action, deadline) = match child.spec.shutdown {
                    Shutdown::Kill => (Action::Kill(life), None),
                    Shutdown::Timeout(after) => (Action::Stop(life), Some(now + after)),
                    Shutdown::Infinity => (Action::Stop(life), None),
                };
                child.life = Life::Stopping { deadline, timed_out: false };
                self.busy = Some(child.key);
                self.actions.push_back(action);
            }
        }
    }

    /// The child in the way of a shutdown has not even started: stop it instead of waiting for it. It was started
    /// last, so it goes first.
    pub(crate) fn abandon_start(&mut self, now: Time) {
        if let Some(at) = self.busy_at() {
            self.busy = None;
            self.take_down(now, at);
        }
    }

    pub(crate) fn stopped(&mut self, at: usize, reason: ExitReason) {
        if !self.children[at].may_stop_with(&reason) {
            self.report(ReportKind::ShutdownError, at, reason);
        }
        self.is_down(at);
    }

    fn is_down(&mut self, at: usize) {
        let leaving = matches!(self.phase, Phase::Leaving(_));
        let Some(turn) = &mut self.turn else { return };
        let child = &self.children[at];
        let brought_back = child.restarting && matches!(turn.purpose, Purpose::Restart | Purpose::Park);
        // Siblings that are temporary do not come back, so they go now.
        if child.spec.restart == Restart::Temporary && !leaving && !brought_back {
            turn.range.end -= 1;
            self.remove(at);
        } else if turn.purpose != Purpose::Park {
            self.calm(at);
        }
    }

    fn all_down(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        match turn.purpose {
            Purpose::Restart => {
                let asker = turn.asker;
                self.turn = Some(Turn { asker, ..Turn::bring_up(turn.range, Purpose::Restart) });
            }
            Purpose::Terminate => {
                let done = turn.asker.map(|(asker, _)| Action::Reply(asker, Reply::Done));
                self.actions.extend(done);
            }
            Purpose::Leave => self.exit(),
            Purpose::Park | Purpose::FirstStart | Purpose::Start { .. } => {}
        }
    }

    fn exit(&mut self) {
        for item in std::mem::take(&mut self.inbox) {
            if let Item::Request(id, _) = item {
                self.refuse(id, RequestError::ShuttingDown);
            }
        }
        if let Phase::Leaving(reason) = std::mem::replace(&mut self.phase, Phase::Gone) {
            self.actions.push_back(Action::Exit(reason));
        }
    }

    fn bring_up(&mut self, now: Time, at: usize) {
        let key = self.children[at].key;
        let life = self.new_life(key);
        let child = &mut self.children[at];
        child.incarnation = life;
        child.starts += 1;
        let deadline = child.spec.start_timeout.map(|after| now + after);
        child.life = Life::Starting { deadline, timed_out: false };
        self.busy = Some(key);
        self.actions.push_back(Action::Start(key, life));
    }

    fn all_up(&mut self) {
        let Some(turn) = self.turn.take() else { return };
        if turn.purpose == Purpose::FirstStart {
            self.phase = Phase::Running;
            self.actions.push_back(Action::Ready);
        }
    }
}
