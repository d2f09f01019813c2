//! Invariants of the rules in a hostile world: trees of supervisors whose children start or fail when they like, in
//! any order, crash at any moment, ignore that they are told to stop, and answer for lives that are long over, while
//! requests arrive in the middle of everything.
//!
//! Each property is named as the invariant that it states. Those of a single supervisor are checked by `checker`
//! after everything that happens, in every property. Each property sees 256 trees; `PROPTEST_CASES` says otherwise.

mod checker;
mod dynamic;
mod map;
mod op;
mod plan;
mod rules;
mod shutdown;
mod storm;
mod tree;
mod windows;
