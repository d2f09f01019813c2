//! Invariants of the rules under hostile events: random trees of supervisors. Children answer late and in any order,
//! fail to start, crash at any moment and ignore stop requests. Stale answers and requests arrive in between.
//!
//! Each property is named after the invariant that it states. `checker` asserts those of a single supervisor after
//! every event, in every property. Each property runs on 256 random trees; `PROPTEST_CASES` sets another number.

mod architecture;
mod checker;
mod dynamic;
mod op;
mod plan;
mod rules;
mod shutdown;
mod storm;
mod tree;
mod windows;
