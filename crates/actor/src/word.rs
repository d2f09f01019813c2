//! The control word of a life, as bits.

/// It is asked to stop.
pub(crate) const STOP: u8 = 1;
/// It is killed.
pub(crate) const KILL: u8 = 2;
/// Signals wait for it.
pub(crate) const SIGNALS: u8 = 4;
/// It is suspended.
pub(crate) const SUSPENDED: u8 = 8;
/// Errands wait for it.
pub(crate) const ERRANDS: u8 = 16;
/// Somebody wants to hear of all it does.
pub(crate) const TRACED: u8 = 32;
/// Something may wait in the queue of actix.
pub(crate) const MAIL: u8 = 64;
/// It was told to stop because of that bit.
pub(crate) const TOLD: u8 = 128;

/// What the control word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u8);

impl Word {
    pub(crate) fn stop(self) -> bool {
        self.0 & STOP != 0
    }

    pub(crate) fn kill(self) -> bool {
        self.0 & KILL != 0
    }

    pub(crate) fn signals(self) -> bool {
        self.0 & SIGNALS != 0
    }

    /// The actor has been told to stop.
    pub(crate) fn told(self) -> bool {
        self.0 & TOLD != 0
    }
}
