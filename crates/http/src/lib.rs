//! HTTP on a connection that an actor owns.
//!
//! [`service`] turns any `tower` service of HTTP requests, so any axum `Router`, into a protocol for the listeners of
//! `impresario-server`. hyper speaks HTTP/1.1 and HTTP/2; each connection is an actor. What hyper leaves to others is
//! here: limits of time that cost no timer for each request, the drain, and upgraded connections that still belong to
//! their listener.
//!
//! Three types to know:
//!
//! * [`Http`]: the protocol, with its limits.
//! * [`Body`]: what the service reads a request's body from.
//! * [`ConnectionInfo`]: what a handler may know of its connection, and how it hears of a drain.
//!
//! This crate deliberately knows no listening sockets, no processes and no routes.

mod body;
mod error;
mod exchange;
mod frames;
mod http_service;
mod info;
mod pace;
mod preface;
mod protocol;
mod serve;
mod settings;
mod stream;
mod streams;
mod talk;
mod watch;

pub use body::{Body, BodyTimeout};
pub use http_service::HttpService;
pub use info::ConnectionInfo;
pub use protocol::{Http, service};
