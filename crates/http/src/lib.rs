//! HTTP on a connection that an actor owns.
//!
//! [`service`] turns any `tower` service of HTTP requests, so any axum `Router`, into a protocol for the listeners of
//! `impresario-server`. hyper parses HTTP/1.1 and HTTP/2; each connection is an actor. This crate adds timeouts with one
//! timer per connection, the drain, and upgraded connections that still count for their listener.
//!
//! * [`Http`]: the protocol, with its limits.
//! * [`Body`]: the body of a request.
//! * [`ConnectionInfo`]: the peer address of a request's connection, and a future that resolves when it drains.
//!
//! The crate does not know listening sockets, processes or routes.

mod body;
mod conn;
mod connection_info;
mod error;
mod http_service;
mod io;
mod protocol;
mod settings;

pub use body::Body;
pub use connection_info::ConnectionInfo;
pub use error::BodyTimeout;
pub use http_service::HttpService;
pub use protocol::{Http, service};
