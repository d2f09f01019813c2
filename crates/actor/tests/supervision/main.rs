//! Supervisors of actors: start, restart, stop, exit reasons and reports. Uses only the public API of the crate.

mod async_start;
mod dynamic_supervisor;
mod exits;
mod reports;
mod static_supervisor;
mod user_code_panics;
