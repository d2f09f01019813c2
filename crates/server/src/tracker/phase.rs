//! The phase of a listener as a pure state machine: which phase follows which event.

/// The phase of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Acceptors accept.
    Open,
    /// Acceptors accept, and the status says that a stop follows (lame duck).
    LameDuck,
    /// Acceptors do not accept. The sockets listen, so connections wait in the kernel's queue.
    SuspendedListening,
    /// The sockets are closed, so the kernel refuses connections.
    Closed,
    /// A drain without a stop. [`Closed`](Self::Closed) follows.
    Draining,
    /// Its supervisor stops it: the drain runs.
    Stopping,
    /// The drain of a stop has finished.
    Stopped,
}

/// An event that may change the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PhaseEvent {
    /// Stop accepting, and keep the sockets or close them.
    Suspend { keep: bool },
    /// Accept again, after a suspension.
    Resume,
    /// Begin a drain without a stop.
    Drain,
    /// A drain without a stop has finished.
    Drained,
    /// A stop was requested, and a lame-duck time comes before the drain.
    LameDuck,
    /// Begin the drain of a stop.
    Stop,
    /// The drain of a stop has finished, or its actor has exited.
    Stopped,
    /// The listener or one of its acceptors is started.
    Start,
}

impl Phase {
    /// All phases in the order of their numbers.
    const ALL: [Self; 7] = [
        Self::Open,
        Self::LameDuck,
        Self::SuspendedListening,
        Self::Closed,
        Self::Draining,
        Self::Stopping,
        Self::Stopped,
    ];

    /// The phase after this event; `None` when the event changes nothing in this phase.
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
            // A stop overrides every other event. Only a new start follows it.
            (Open, PhaseEvent::LameDuck) => Some(Self::LameDuck),
            (Self::Stopped, PhaseEvent::Stop) => None,
            (_, PhaseEvent::Stop) => Some(Stopping),
            (Self::LameDuck | Stopping, PhaseEvent::Stopped) => Some(Self::Stopped),
            // Only here: a suspended listener stays suspended when one of its actors is restarted.
            (Self::Stopped, PhaseEvent::Start) => Some(Open),
            _ => None,
        }
    }

    /// Whether acceptors accept.
    pub(crate) fn accepts(self) -> bool {
        matches!(self, Self::Open | Self::LameDuck)
    }

    /// Whether the sockets listen.
    pub(crate) fn listens(self) -> bool {
        self.accepts() || self == Self::SuspendedListening
    }

    /// Whether connections should finish and close.
    pub(crate) fn is_draining(self) -> bool {
        matches!(self, Self::Draining | Self::Stopping | Self::Stopped)
    }

    /// The number of this phase, for an atomic.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The phase with this number; [`Stopped`](Self::Stopped) for any other number.
    pub(crate) fn numbered(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are phases. Columns are the events of `STEPS`. A dot is no change.
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
