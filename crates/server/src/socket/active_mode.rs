//! The active modes of a connection.

/// How many pieces are pushed to the owner (OTP: the option `active` of `gen_tcp`).
///
/// In every mode the next piece is read only when the owner has handled the last: no bytes accumulate in a
/// mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Active {
    /// None. A disconnect of the peer is not noticed (`{active, false}`).
    #[default]
    Passive,
    /// One piece; passive afterwards (`{active, once}`).
    Once,
    /// This many pieces, then [`ActiveEvent::Passive`](super::active::ActiveEvent::Passive) and passive
    /// (`{active, N}`).
    Count(u32),
    /// Everything (`{active, true}`).
    Always,
}
