//! HTTP on a connection that an actor owns.
//!
//! [`service`] turns any `tower` service of HTTP requests, so any axum `Router`, into a protocol for the listeners of
//! `impresario-server`. hyper speaks HTTP/1.1; each connection is an actor, and a panic in the service is that actor's.
//!
//! Three types to know:
//!
//! * [`Http`]: the protocol, with its limits.
//! * [`Listener`](impresario_server::Listener): what brings connections to it.
//! * [`Socket`](impresario_server::Socket): the connection that hyper reads and writes.
//!
//! This crate deliberately knows no listening sockets, no processes and no routes.

mod error;
mod exchange;
mod protocol;
mod stream;

pub use protocol::{Http, service};
