//! What lives say: they are ready, not needed, over, or silent for too long.

use crate::children::Life;
use crate::supervisor::Item;
use crate::turn::Purpose;
use crate::{
    Action, ChildKey, ExitReason, Incarnation, Reply, ReportKind, RequestError, Restart, Supervisor, Time,
};

impl Supervisor {
    /// The position of the child that starts as this life.
    fn starting(&self, life: Incarnation) -> Option<usize> {
        let at = self.lives.get(&life).and_then(|key| self.children.position(*key))?;
        matches!(self.children[at].life, Life::Starting { timed_out: false, .. }).then_some(at)
    }

    pub(crate) fn started(&mut self, now: Time, life: Incarnation) {
        let Some(at) = self.starting(life) else { return };
        let child = &mut self.children[at];
        child.life = Life::Running { since: now };
        let key = child.key;
        self.busy = None;
        self.answer_asker_of(key, Reply::Started(key, life));
    }

    pub(crate) fn ignored(&mut self, now: Time, life: Incarnation) {
        let Some(at) = self.starting(life) else { return self.ignored_late(now, life) };
        self.lives.remove(&life);
        let child = &mut self.children[at];
        child.life = Life::Down;
        let key = child.key;
        self.busy = None;
        if child.spec.restart == Restart::Temporary {
            if let Some(turn) = &mut self.turn {
                turn.leave_out();
            }
            self.remove(at);
        }
        self.answer_asker_of(key, Reply::Ignored);
    }

    /// It was told to end when it said that it is not needed: it has, as it was told.
    fn ignored_late(&mut self, now: Time, life: Incarnation) {
        let Some(at) = self.lives.get(&life).and_then(|key| self.children.position(*key)) else { return };
        let child = &self.children[at];
        if matches!(child.life, Life::Stopping { .. } | Life::Starting { .. }) {
            let reason = child.spec.shutdown.usual_end();
            self.ended(now, life, reason);
        }
    }

    /// Whoever asked for the start of this child gets its answer.
    fn answer_asker_of(&mut self, key: ChildKey, reply: Reply) {
        let asker = self.turn.as_mut().and_then(|turn| turn.asker.take_if(|(_, child)| *child == key));
        self.actions.extend(asker.map(|(asker, _)| Action::Reply(asker, reply)));
    }

    /// A life is over, or never began.
    pub(crate) fn ended(&mut self, now: Time, life: Incarnation, reason: ExitReason) {
        let Some(at) = self.lives.remove(&life).and_then(|key| self.children.position(key)) else { return };
        let child = &mut self.children[at];
        match std::mem::replace(&mut child.life, Life::Down) {
            Life::Starting { timed_out, .. } => {
                self.busy = None;
                let reason = if timed_out { ExitReason::StartTimeout } else { reason };
                self.start_failed(now, at, reason);
            }
            Life::Stopping { .. } => {
                self.busy = None;
                self.stopped(at, reason);
            }
            Life::Running { since } => {
                child.life = Life::Dead { since, reason };
                self.inbox.push_back(Item::Exited(child.key, life));
            }
            // The life was removed above, so it cannot have ended before.
            life @ (Life::Down | Life::Dead { .. }) => child.life = life,
        }
    }

    fn start_failed(&mut self, now: Time, at: usize, reason: ExitReason) {
        let Some(turn) = self.turn.take() else { return };
        // Who asked for this child alone gets an answer instead of a report.
        if !matches!(turn.purpose, Purpose::Start { .. }) {
            self.report(ReportKind::StartError, at, reason.clone());
        }
        if turn.purpose == (Purpose::Start { added: true }) {
            self.remove(at);
        }
        let purpose = turn.purpose;
        if let Some(asker) = turn.into_asker() {
            self.refuse(asker, RequestError::StartFailed(reason.clone()));
        }
        match purpose {
            Purpose::FirstStart => {
                let child = self.children[at].spec.id.clone();
                self.leave(ExitReason::FailedToStart { child, reason: Box::new(reason) });
            }
            Purpose::Restart => self.restart_failed(now, at, reason),
            Purpose::Start { .. } | Purpose::Park | Purpose::Terminate | Purpose::Leave => {}
        }
    }

    /// The child that is waited for has had its time: kill it, and wait on.
    pub(crate) fn busy_timeout(&mut self, now: Time) {
        let Some(at) = self.busy_at() else { return };
        let child = &mut self.children[at];
        match &mut child.life {
            Life::Starting { deadline: Some(deadline), timed_out }
            | Life::Stopping { deadline: Some(deadline), timed_out }
                if !*timed_out && *deadline <= now =>
            {
                *timed_out = true;
                self.actions.push_back(Action::Kill(child.incarnation));
            }
            _ => {}
        }
    }
}
