//! What a handler can read about the connection of its request.

use impresario_server::{Address, Draining, Socket};

/// The peer address of a request's connection and its drain: an extension of the request.
///
/// Requests that may be upgraded (WebSocket, CONNECT) have it. Other requests have it only with
/// [`Http::connection_info`](crate::Http::connection_info). With axum the extractor is `Extension<ConnectionInfo>`.
///
/// # Upgraded connections
///
/// The code that has an upgraded connection selects on [`draining`](Self::draining) and on its reads. When the drain
/// begins, it sends the closing message of its protocol and drops the connection. Until then the connection counts for
/// the listener. The drain deadline closes it.
///
/// * Read timeout: none by default. If the `Transport` has a
///   [read timeout](impresario_server::Transport::read_timeout), it applies, and the read fails with `TimedOut`. Without
///   it, send pings to detect a client that has vanished.
/// * Write timeout: [`Http::write_timeout`](crate::Http::write_timeout). The write fails with `TimedOut`.
/// * HTTP/2: the upgraded stream has the limits of its connection, which are that write timeout and hyper's pings.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    peer: Address,
    draining: Draining,
}

impl ConnectionInfo {
    pub(crate) fn new(socket: &Socket) -> Self {
        Self { peer: socket.peer_addr().clone(), draining: socket.draining() }
    }

    /// The address of the peer.
    pub fn peer_addr(&self) -> &Address {
        &self.peer
    }

    /// A future that resolves when the listener drains.
    pub fn draining(&self) -> Draining {
        self.draining.clone()
    }
}
