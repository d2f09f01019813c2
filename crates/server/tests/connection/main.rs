//! One connection: its bytes, its owner, its handler, and its faults.

mod active;
mod echo;
mod faults;
mod handler;
mod handover;
mod hostile;
mod ownership;
mod proxy;
#[path = "../support/mod.rs"]
mod support;
