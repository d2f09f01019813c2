//! What a handler may know of the connection that its request came on.

use impresario_server::{Address, Draining, Socket};

/// What a handler may know of the connection that its request came on: an extension of the request.
///
/// Requests that may be upgraded have it (WebSockets, CONNECT); all others only with
/// [`Http::connection_info`](crate::Http::connection_info). With axum it is the extractor `Extension<ConnectionInfo>`.
///
/// Whoever has an upgraded connection waits for [`draining`](Self::draining) beside reading it, says good-bye in the
/// words of the new protocol, and drops it. Until then it is one of the listener's connections. The drain deadline cuts
/// it off.
///
/// Reading from an upgraded connection has no limit of time, unless its `Transport` has a
/// [read time-out](impresario_server::Transport::read_timeout): it holds again, and the read fails with `TimedOut`. So
/// ping a client that may be silent for long, to find out when it has vanished. A client that takes nothing of what is
/// written for the [`write_timeout`](crate::Http::write_timeout) of HTTP has the write fail in the same way. Over HTTP/2,
/// where it is one stream of several, it has the limits of its connection: that write time-out, and pings.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    peer: Address,
    draining: Draining,
}

impl ConnectionInfo {
    pub(crate) fn new(socket: &Socket) -> Self {
        Self { peer: socket.peer_addr().clone(), draining: socket.draining() }
    }

    /// Who connected.
    pub fn peer_addr(&self) -> &Address {
        &self.peer
    }

    /// Resolves when the connection is asked to leave, because its listener drains.
    pub fn draining(&self) -> Draining {
        self.draining.clone()
    }
}
