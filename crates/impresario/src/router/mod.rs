//! The router process: accepts, picks a worker, hands the connection over.
//!
//! It may not know the protocol of an app: it reads no byte of a connection. `dispatch` is pure, `dispatcher` is its actor.

mod dispatch;
mod dispatcher;
mod inbox;
mod process;

pub(crate) use process::RouterProcess;

/// Accepts connections in a process of its own and hands each to a worker of an app, as NGINX Unit does.
///
/// The worker with the fewest connections gets the next one. The router keeps its descriptor until the worker has taken the
/// connection, so a worker that crashes before that loses no connection.
#[must_use = "a router does nothing until it is given to Main"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    pub(crate) listen: Vec<String>,
    pub(crate) app: Option<String>,
}

impl Router {
    /// A router that listens on this address.
    ///
    /// `HOST:PORT`, where port 0 lets the kernel choose one, or `unix:PATH`. Main removes the socket file when it exits.
    pub fn listen(address: impl std::fmt::Display) -> Self {
        Self { listen: vec![address.to_string()], app: None }
    }

    /// The name of the app. Its workers get the connections. Required.
    pub fn to(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }
}
