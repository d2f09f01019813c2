//! Signals and messages between actors: links, monitors, names, groups, timers. Uses only the public API of the crate.

mod common;
mod known_failures;
mod links_and_monitors;
mod names_and_groups;
mod races;
mod regressions;
mod timers;
