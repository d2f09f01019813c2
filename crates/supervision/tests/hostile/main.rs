//! Invariants of the rules in a hostile world: trees of supervisors with children that start or fail at random,
//! in any order, crash at any moment, ignore stop requests, and answer for earlier incarnations, while requests
//! arrive in between.
//!
//! The name of a property is its invariant. `checker` asserts those of a single supervisor after every event,
//! in every property. Each property runs on 256 trees; `PROPTEST_CASES` changes the number.

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
