//! A listener as a whole: limits, policies, arbiters, restarts, drain, and changes while it runs.

mod arbiters;
mod drain;
mod failures;
mod limits;
mod listener_ref;
mod listening;
mod policies;
mod restarts;
#[path = "../support/mod.rs"]
mod support;
mod unix;
