//! The rules of pools, in a simulation on virtual time.

mod aborted;
mod dynamic;
mod generations;
mod model;
mod properties;
mod recycling;
mod reports;
mod scaling;
mod settings;
mod starts;
mod stopping;
mod unit;
mod world;
