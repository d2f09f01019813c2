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
pub(crate) const SYSTEM_PENDING: u8 = 16;
/// Somebody wants to hear of all it does.
pub(crate) const TRACED: u8 = 32;
/// Something may wait in the queue of actix.
pub(crate) const ADDR_PENDING: u8 = 64;
/// It was told to stop because of that bit.
pub(crate) const STOP_DELIVERED: u8 = 128;

/// What the control word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlFlags(pub(crate) u8);

impl ControlFlags {
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
    pub(crate) fn stop_delivered(self) -> bool {
        self.0 & STOP_DELIVERED != 0
    }
}
