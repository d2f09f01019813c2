//! The router process: accepts, picks a worker, hands the connection over.

mod dispatch;
mod dispatcher;
mod leaf;

pub(crate) use leaf::RouterLeaf;

/// Accepts connections in a process of its own and hands each to a worker of an app, as NGINX Unit does.
///
/// The worker with the fewest connections gets the next one. The router keeps its descriptor until the worker has
/// taken the connection, so a worker that dies in between costs nothing.
#[must_use = "a router does nothing until it is given to Main"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    pub(crate) listen: Vec<String>,
    pub(crate) app: Option<String>,
}

impl Router {
    /// A router that listens on this address: `HOST:PORT`, where port 0 lets the kernel choose one, or
    /// `unix:PATH`, whose file main removes at its end.
    pub fn listen(address: impl std::fmt::Display) -> Self {
        Self { listen: vec![address.to_string()], app: None }
    }

    /// The app whose workers get the connections.
    pub fn to(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }
}
