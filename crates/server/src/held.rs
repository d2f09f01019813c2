//! The listening socket that a listener holds while its acceptors come and go.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slog::Logger;

use crate::{ListenError, ListenSocket};

/// A listening socket, or where to bind one. Bound at the first start and kept over restarts; closed by a drain.
#[derive(Debug)]
pub(crate) struct Held {
    /// Where to bind. `None` for an inherited socket, which cannot be had again.
    wanted: Option<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    socket: Option<Arc<ListenSocket>>,
    /// Where it listens, or did: once a port was chosen it stays the same.
    address: Option<SocketAddr>,
}

impl Held {
    pub(crate) fn wanted(address: String) -> Self {
        Self { wanted: Some(address), state: Mutex::default() }
    }

    pub(crate) fn inherited(socket: ListenSocket) -> Self {
        let address = Some(socket.local_addr());
        Self { wanted: None, state: Mutex::new(State { socket: Some(Arc::new(socket)), address }) }
    }

    /// The socket; bound now if there is none.
    pub(crate) fn open(&self, log: &Logger) -> Result<Arc<ListenSocket>, ListenError> {
        let mut state = self.lock();
        if let Some(socket) = &state.socket {
            return Ok(Arc::clone(socket));
        }
        let socket = match (&self.wanted, state.address) {
            (Some(_), Some(address)) => ListenSocket::bind(&address.to_string())?,
            (Some(wanted), None) => ListenSocket::bind(wanted)?,
            (None, Some(address)) => return Err(ListenError::Closed { address }),
            (None, None) => return Err(ListenError::Address { address: String::new() }),
        };
        let address = socket.local_addr();
        slog::info!(log, "listening"; "address" => %address);
        let socket = Arc::new(socket);
        *state = State { socket: Some(Arc::clone(&socket)), address: Some(address) };
        Ok(socket)
    }

    /// Lets go of the socket; it closes when those who accept on it have too.
    pub(crate) fn close(&self) {
        self.lock().socket = None;
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.lock().address
    }

    /// The state is replaced as a whole, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
