//! The mode of a connection whose bytes are pushed to its owner.

/// How much of what a peer sends comes to the owner by itself (OTP: the option `active` of `gen_tcp`).
///
/// Whatever the mode, the next piece is read only when the owner is done with the last: nothing piles up in a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Active {
    /// Nothing. A peer that goes away is not noticed (`{active, false}`).
    #[default]
    Passive,
    /// One piece; passive afterwards (`{active, once}`).
    Once,
    /// So many pieces; passive afterwards, which [`ActiveEvent::Passive`](super::active::ActiveEvent::Passive) says (`{active, N}`).
    Count(u32),
    /// Everything (`{active, true}`).
    Always,
}
