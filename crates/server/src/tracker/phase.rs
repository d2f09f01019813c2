//! The phase of a listener, as a pure state machine.

/// The phase of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It accepts.
    Open,
    /// It accepts, and its status announces the shutdown (lame duck).
    LameDuck,
    /// It does not accept; its sockets listen, so new connections wait in the kernel.
    SuspendedListening,
    /// It does not accept and its sockets are closed, so new connections are refused.
    Closed,
    /// A drain was requested; it is [`Closed`](Self::Closed) afterwards.
    Draining,
    /// Its supervisor stops it.
    Stopping,
    /// It was stopped, in order.
    Stopped,
}

/// An event of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseEvent {
    /// Suspend, and keep the sockets or not.
    Suspend { keep: bool },
    /// Accept again.
    Resume,
    /// Begin a drain, without a stop.
    Drain,
    /// The drain is done.
    Drained,
    /// A stop was requested; load balancers get time to choose another server.
    LameDuck,
    /// Stop: begin the drain.
    Stop,
    /// The stop is done, or was given up.
    Stopped,
    /// The listener starts.
    Start,
}

impl Phase {
    /// All phases, in the order of their numbers.
    const ALL: [Self; 7] = [
        Self::Open,
        Self::LameDuck,
        Self::SuspendedListening,
        Self::Closed,
        Self::Draining,
        Self::Stopping,
        Self::Stopped,
    ];

    /// The next phase; `None` when the event has no meaning here.
    pub(crate) fn after(self, event: PhaseEvent) -> Option<Self> {
        use Phase::{Closed, Draining, Open, Stopping, SuspendedListening};
        match (self, event) {
            (Open | SuspendedListening | Closed, PhaseEvent::Suspend { keep: true }) => {
                Some(if self == Closed { Closed } else { SuspendedListening })
            }
            (Open | SuspendedListening | Closed, PhaseEvent::Suspend { keep: false }) => Some(Closed),
            (Open | SuspendedListening | Closed, PhaseEvent::Resume) => Some(Open),
            (Open | SuspendedListening | Closed | Draining, PhaseEvent::Drain) => Some(Draining),
            (Draining, PhaseEvent::Drained) => Some(Closed),
            // A stop has precedence; only a start follows it.
            (Open, PhaseEvent::LameDuck) => Some(Self::LameDuck),
            (Self::Stopped, PhaseEvent::Stop) => None,
            (_, PhaseEvent::Stop) => Some(Stopping),
            (Self::LameDuck | Stopping, PhaseEvent::Stopped) => Some(Self::Stopped),
            // A suspended listener stays suspended over restarts.
            (Self::Stopped, PhaseEvent::Start) => Some(Open),
            _ => None,
        }
    }

    /// Whether connections are accepted.
    pub(crate) fn accepts(self) -> bool {
        matches!(self, Self::Open | Self::LameDuck)
    }

    /// Whether the sockets listen.
    pub(crate) fn listens(self) -> bool {
        self.accepts() || self == Self::SuspendedListening
    }

    /// Whether connections are asked to finish.
    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining | Self::Stopping | Self::Stopped)
    }

    /// As a number, for an atomic.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The phase of this number.
    pub(crate) fn numbered(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: the phases; columns: suspend and keep, suspend and close, resume, drain, drained, lame duck, stop, stopped,
    /// start. A dot is no change.
    const TABLE: &str = "
        Open     SuspendedListening   Closed Open Draining . LameDuck Stopping . .
        LameDuck . . . . . . Stopping Stopped .
        SuspendedListening     SuspendedListening   Closed Open Draining . . Stopping . .
        Closed   Closed Closed Open Draining . . Stopping . .
        Draining  . . . Draining Closed . Stopping . .
        Stopping . . . . . . Stopping Stopped .
        Stopped  . . . . . . . . Open
    ";

    const STEPS: [PhaseEvent; 9] = [
        PhaseEvent::Suspend { keep: true },
        PhaseEvent::Suspend { keep: false },
        PhaseEvent::Resume,
        PhaseEvent::Drain,
        PhaseEvent::Drained,
        PhaseEvent::LameDuck,
        PhaseEvent::Stop,
        PhaseEvent::Stopped,
        PhaseEvent::Start,
    ];

    #[test]
    fn every_step_in_every_phase_is_in_the_table() {
        let rows: Vec<Vec<&str>> = TABLE
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<_>| !row.is_empty())
            .collect();
        assert_eq!(rows.len(), Phase::ALL.len());
        for (phase, row) in Phase::ALL.into_iter().zip(rows) {
            assert_eq!(row[0], format!("{phase:?}"));
            for (event, expected) in STEPS.into_iter().zip(&row[1..]) {
                let found = phase.after(event).map_or(".".to_owned(), |next| format!("{next:?}"));
                assert_eq!(found, **expected, "{phase:?} at {event:?}");
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_phases() {
        for phase in Phase::ALL {
            assert_eq!(Phase::numbered(phase.number()), phase);
        }
        assert_eq!(Phase::numbered(200), Phase::Stopped);
    }

    #[test]
    fn a_draining_phase_does_not_accept() {
        for phase in Phase::ALL {
            assert!(!(phase.accepts() && phase.is_draining()), "{phase:?}");
            assert!(phase.listens() || !phase.accepts(), "{phase:?}");
        }
    }
}
