//! The rules of both supervisors, case by case, on a driver in miniature.

mod backoff;
mod census;
mod dynamic;
mod dynamic_backoff;
mod dynamic_requests;
mod groups;
mod replacing;
mod reports;
mod requests;
mod restarting;
mod significant;
mod specs;
mod starting;
mod stopping;
mod world;
