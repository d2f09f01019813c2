//! Where a listener is in its life, as a pure state machine: what may follow what.

/// Where a listener is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It accepts.
    Open,
    /// It accepts, and says that it will leave (lame duck).
    LameDuck,
    /// It does not accept; its sockets listen, so who connects waits.
    SuspendedListening,
    /// It does not accept and its sockets are closed, so who connects is refused.
    Closed,
    /// Somebody drains it; it is [`Closed`](Self::Closed) afterwards.
    Draining,
    /// Its supervisor stops it.
    Stopping,
    /// It was stopped, in order.
    Stopped,
}

/// What happens to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseEvent {
    /// Accept no more, and keep the sockets or not.
    Suspend { keep: bool },
    /// Accept again.
    Resume,
    /// Ask everybody to leave, without a stop.
    Drain,
    /// That is done.
    Drained,
    /// A stop was asked for, and others have time to look elsewhere.
    LameDuck,
    /// Stop: ask everybody to leave.
    Stop,
    /// The stop is over, in whatever way.
    Stopped,
    /// A new life begins.
    Start,
}

impl Phase {
    /// In the order of their numbers.
    const ALL: [Self; 7] = [
        Self::Open,
        Self::LameDuck,
        Self::SuspendedListening,
        Self::Closed,
        Self::Draining,
        Self::Stopping,
        Self::Stopped,
    ];

    /// What follows; `None` when the step means nothing here.
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
            // A stop wins over everything, and nothing but a new life follows it.
            (Open, PhaseEvent::LameDuck) => Some(Self::LameDuck),
            (Self::Stopped, PhaseEvent::Stop) => None,
            (_, PhaseEvent::Stop) => Some(Stopping),
            (Self::LameDuck | Stopping, PhaseEvent::Stopped) => Some(Self::Stopped),
            // A listener that was suspended stays so, whatever dies and comes back.
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

    /// Whether connections are asked to leave.
    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining | Self::Stopping | Self::Stopped)
    }

    /// As a number, for an atomic.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The phase with this number.
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
