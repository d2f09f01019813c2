//! The three names of a child: what the user calls it, which entry it is, and which of its lives.

use std::fmt;
use std::sync::Arc;

/// What the user calls a child; unique within a supervisor.
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

/// One entry of one supervisor: the same through all lives of the child, never used again after it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey(pub(crate) u64);

/// One life of a child: every start attempt of a supervisor gets a new one.
///
/// An answer about a life that is over changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub(crate) u64);

impl Incarnation {
    /// The one life of a root, which no supervisor started.
    pub const ROOT: Incarnation = Incarnation(0);

    /// The number of this life among all start attempts of its supervisor, from 1.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl ChildKey {
    /// The number of this entry among all entries its supervisor ever had, from 0.
    pub const fn number(self) -> u64 {
        self.0
    }
}
