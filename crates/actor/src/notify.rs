//! How a supervisor hears of a life: started at most once, ended exactly once.

use std::fmt;
use std::sync::Arc;

use crate::life::Life;
use impresario_supervision::{Event, ExitReason, Incarnation};

/// The way to a supervisor. Not bounded by number, but by its senders: each life says at most two things.
#[derive(Clone)]
pub(crate) struct Notices(Arc<dyn Fn(Event) + Send + Sync>);

impl Notices {
    /// A supervisor that is gone does not need to know; its children go with it. So `send` cannot fail.
    pub(crate) fn new(send: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    pub(crate) fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}

/// Says that a life is ready.
#[derive(Clone, Debug)]
pub(crate) struct StartAck {
    notices: Notices,
    life: Incarnation,
}

impl StartAck {
    pub(crate) fn started(&self) {
        self.notices.send(Event::Started(self.life));
    }
}

/// Made before anything of the life exists and moved into whatever may run it, so its end cannot go unseen: if
/// nobody says anything, dropping it does.
#[derive(Debug)]
pub(crate) struct Notify {
    notices: Notices,
    life: Arc<Life>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Unborn,
    Born,
    Over,
}

impl Notify {
    pub(crate) fn new(notices: Notices, life: Arc<Life>) -> Self {
        Self { notices, life, stage: Stage::Unborn }
    }

    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Who hears of it.
    pub(crate) fn notices(&self) -> &Notices {
        &self.notices
    }

    pub(crate) fn ack(&self) -> StartAck {
        StartAck { notices: self.notices.clone(), life: self.life.incarnation() }
    }

    /// From here on a life that is dropped was killed.
    pub(crate) fn born(&mut self) {
        self.stage = Stage::Born;
    }

    /// There was no need for a life.
    pub(crate) fn ignored(mut self) {
        self.over(ExitReason::Normal, |life, _| Event::Ignored(life));
    }

    /// The life is over, or could not begin.
    pub(crate) fn exited(&mut self, reason: ExitReason) {
        self.over(reason, Event::Exited);
    }

    fn over(&mut self, reason: ExitReason, event: impl FnOnce(Incarnation, ExitReason) -> Event) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.life.over(&reason);
            self.notices.send(event(self.life.incarnation(), reason));
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        match self.stage {
            Stage::Unborn => self.exited(ExitReason::NoProc),
            Stage::Born => self.exited(ExitReason::Killed),
            Stage::Over => {}
        }
    }
}
