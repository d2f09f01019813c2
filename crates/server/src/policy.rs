//! What happens to those for whom there is no room.

/// What happens to connections for which there is no room, or that come too fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They wait in the kernel's queue until there is room. When descriptors run out they wait too.
    #[default]
    Queue,
    /// They are accepted and closed at once, so whoever connects can look elsewhere. When descriptors run out a spare
    /// one is used to do the same.
    Reject,
}
