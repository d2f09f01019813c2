//! The guard that reports the exit of an incarnation exactly once.

use std::sync::Arc;

use impresario_supervision::{Event, ExitReason, Incarnation};

use crate::cell::{ActorCell, Pid, ReportFields};
use crate::child::events::{EventSender, StartAck};

/// Reports the exit of an incarnation to its parent. It is made before anything of the incarnation exists, and moved into
/// what runs it. If nothing else reports the exit, its destructor does.
#[derive(Debug)]
pub(crate) struct ExitGuard {
    events: EventSender,
    cell: Arc<ActorCell>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotStarted,
    Running,
    Exited,
}

impl ExitGuard {
    /// The guard of the incarnation with this cell.
    pub(crate) fn new(events: EventSender, cell: Arc<ActorCell>) -> Self {
        Self { events, cell, stage: Stage::NotStarted }
    }

    /// The cell of the incarnation.
    pub(crate) fn cell(&self) -> &Arc<ActorCell> {
        &self.cell
    }

    /// Where the events of the incarnation go.
    pub(crate) fn events(&self) -> &EventSender {
        &self.events
    }

    /// The acknowledgement for an incarnation that reports by itself when it is ready.
    pub(crate) fn ack(&self) -> StartAck {
        StartAck::new(self.events.clone(), self.cell.incarnation())
    }

    /// From here on, a drop of the guard is a kill.
    pub(crate) fn mark_running(&mut self) {
        self.stage = Stage::Running;
    }

    /// Reports that the child is not needed (OTP: `ignore`).
    pub(crate) fn ignored(mut self) {
        self.mark_exited(ExitReason::Normal, |incarnation, _| Event::Ignored(incarnation));
    }

    /// Reports that the incarnation has exited or could not start. The first report counts.
    pub(crate) fn exited(&mut self, reason: ExitReason) {
        self.mark_exited(reason, Event::Exited);
    }

    fn mark_exited(&mut self, reason: ExitReason, event: impl FnOnce(Incarnation, ExitReason) -> Event) {
        if self.stage == Stage::Exited {
            return;
        }
        self.stage = Stage::Exited;
        let mut report_fields = ReportFields::new();
        if let Some(mut notice) = self.cell.mark_exited(&reason) {
            report_fields = notice.take_report_fields();
            // Before the notification: a process that is notified finds the names free.
            if notice.is_registered() {
                self.events.registry().remove_pid(&Pid::of(&self.cell));
            }
            notice.notify(&self.cell, &reason);
        }
        self.events.send_exit(event(self.cell.incarnation(), reason), report_fields);
    }
}

impl Drop for ExitGuard {
    fn drop(&mut self) {
        match self.stage {
            Stage::NotStarted => self.exited(ExitReason::NoProc),
            Stage::Running => self.exited(ExitReason::Killed),
            Stage::Exited => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use impresario_supervision::Time;

    use crate::registry::Registry;
    use crate::registry::names::NameError;

    #[test]
    fn an_exit_removes_group_memberships_and_forbids_a_join() {
        let registry = Registry::new();
        let cell = ActorCell::new(Arc::clone(registry.tree()), Incarnation::ROOT, Time::START);
        let pid = Pid::of(&cell);
        registry.join("red", &pid).expect("the process is alive");
        ExitGuard::new(EventSender::new(registry.clone(), |_, _| {}), cell).exited(ExitReason::Normal);
        assert_eq!(registry.members("red"), []);
        assert_eq!(registry.join("red", &pid), Err(NameError::NotAlive));
        assert_eq!(registry.which_groups(), [""; 0]);
    }
}
