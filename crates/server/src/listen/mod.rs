//! Listening sockets: binding, inheriting, keeping over restarts, and accepting one connection.
//!
//! This folder knows the connection that a socket accepts. It may not know limits, actors, or when to accept.

pub(crate) mod bind_address;
pub(crate) mod bound_socket;
pub(crate) mod endpoint;
pub(crate) mod inherited;
pub(crate) mod listen_socket;
pub(crate) mod unix;
