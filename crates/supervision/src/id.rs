//! The three names of a child: the user's id, the key of its entry, the incarnation.

use std::fmt;
use std::sync::Arc;

/// The user's name of a child; unique within its supervisor. Clone is one reference-count increment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(id: &str) -> Self {
        ChildId(id.into())
    }
}

impl From<String> for ChildId {
    fn from(id: String) -> Self {
        ChildId(id.into())
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The key of one entry in one supervisor: the same for all incarnations of the child.
///
/// It is never used again after the entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(pub(crate) u64);

/// The number of one run of a child. Every start attempt of a supervisor gets a new, larger one.
///
/// It tells a late answer about an earlier run from one about the current run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub(crate) u64);

impl Incarnation {
    /// The only incarnation of a root, which no supervisor starts.
    pub const ROOT: Incarnation = Incarnation(0);

    /// The number among all start attempts of the supervisor, from 1.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl ChildKey {
    /// The number among all entries that the supervisor ever had, from 0.
    pub const fn number(self) -> u64 {
        self.0
    }
}
