//! How a supervisor hears of a life: started at most once, ended exactly once.

use std::fmt;
use std::sync::Arc;

use crate::life::ActorCell;
use impresario_supervision::{Event, ExitReason, Incarnation};

/// The way to a supervisor. Not bounded by number, but by its senders: each life says at most two things.
#[derive(Clone)]
pub(crate) struct EventSender(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSender {
    /// A supervisor that is gone does not need to know; its children go with it. So `send` cannot fail.
    pub(crate) fn new(send: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    pub(crate) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSender")
    }
}

/// Says that a life is ready.
#[derive(Clone, Debug)]
pub(crate) struct StartAck {
    events: EventSender,
    incarnation: Incarnation,
}

impl StartAck {
    pub(crate) fn started(&self) {
        self.events.send(Event::Started(self.incarnation));
    }
}

/// Made before anything of the life exists and moved into whatever may run it, so its end cannot go unseen: if
/// nobody says anything, dropping it does.
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
    pub(crate) fn new(events: EventSender, cell: Arc<ActorCell>) -> Self {
        Self { events, cell, stage: Stage::NotStarted }
    }

    pub(crate) fn cell(&self) -> &Arc<ActorCell> {
        &self.cell
    }

    /// Who hears of it.
    pub(crate) fn events(&self) -> &EventSender {
        &self.events
    }

    pub(crate) fn ack(&self) -> StartAck {
        StartAck { events: self.events.clone(), incarnation: self.cell.incarnation() }
    }

    /// From here on a life that is dropped was killed.
    pub(crate) fn mark_running(&mut self) {
        self.stage = Stage::Running;
    }

    /// There was no need for a life.
    pub(crate) fn ignored(mut self) {
        self.mark_exited(ExitReason::Normal, |incarnation, _| Event::Ignored(incarnation));
    }

    /// The life is over, or could not begin.
    pub(crate) fn exited(&mut self, reason: ExitReason) {
        self.mark_exited(reason, Event::Exited);
    }

    fn mark_exited(&mut self, reason: ExitReason, event: impl FnOnce(Incarnation, ExitReason) -> Event) {
        if self.stage != Stage::Exited {
            self.stage = Stage::Exited;
            self.cell.mark_exited(&reason);
            self.events.send(event(self.cell.incarnation(), reason));
        }
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
