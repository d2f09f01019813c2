//! The rules of both supervisors, case by case, with a small synchronous driver.

mod backoff;
mod dynamic;
mod groups;
mod replacing;
mod reports;
mod requests;
mod restarting;
mod significant;
mod specs;
mod starting;
mod status;
mod stopping;
mod world;
