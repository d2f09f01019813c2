//! How a supervisor hears of a life: started at most once, ended exactly once.

use impresario_supervision::{Event, ExitReason, Incarnation};
use tokio::sync::mpsc::UnboundedSender;

/// The way to a supervisor. Not bounded by number, but by its senders: each life says at most two things.
pub(crate) type Notices = UnboundedSender<Event>;

/// Says that a life is ready.
#[derive(Clone, Debug)]
pub(crate) struct StartAck {
    notices: Notices,
    life: Incarnation,
}

impl StartAck {
    pub(crate) fn started(&self) {
        // A supervisor that is gone does not need to know; its children go with it.
        let _ = self.notices.send(Event::Started(self.life));
    }
}

/// Made before anything of the life exists and moved into whatever may run it, so its end cannot go unseen: if
/// nobody says anything, dropping it does.
#[derive(Debug)]
pub(crate) struct Notify {
    ack: StartAck,
    fallback: Option<ExitReason>,
}

impl Notify {
    pub(crate) fn new(notices: Notices, life: Incarnation) -> Self {
        Self { ack: StartAck { notices, life }, fallback: Some(ExitReason::NoProc) }
    }

    pub(crate) fn ack(&self) -> StartAck {
        self.ack.clone()
    }

    /// From here on a life that is dropped was killed.
    pub(crate) fn born(&mut self) {
        self.fallback = Some(ExitReason::Killed);
    }

    /// There was no need for a life.
    pub(crate) fn ignored(mut self) {
        self.say(Event::Ignored(self.ack.life));
    }

    /// The life is over, or could not begin.
    pub(crate) fn exited(&mut self, reason: ExitReason) {
        self.say(Event::Exited(self.ack.life, reason));
    }

    fn say(&mut self, event: Event) {
        if self.fallback.take().is_some() {
            let _ = self.ack.notices.send(event);
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        if let Some(reason) = self.fallback.clone() {
            self.exited(reason);
        }
    }
}
