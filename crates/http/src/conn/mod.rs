//! One HTTP connection: detection of the version, requests and responses, timeouts, drain.
//!
//! It knows the socket through `io` and the limits through `settings`. It may not know the listener, its builder
//! (`protocol`), or any route.

mod connection_state;
mod detect;
mod hyper_service;
pub(crate) mod serve;
mod timeouts;
