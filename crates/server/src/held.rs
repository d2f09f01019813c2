//! The listening socket that a listener holds while its acceptors come and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slog::Logger;

use crate::endpoint::{Endpoint, Wanted};
use crate::{Address, ListenError, ListenSocket};

/// A listening socket, or where to bind one. Bound at the first start and kept over restarts; closed by a drain.
#[derive(Debug)]
pub(crate) struct Held {
    /// Where to bind. `None` for an inherited socket, which cannot be had again.
    wanted: Option<Wanted>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    socket: Option<Arc<ListenSocket>>,
    /// Where it listens, or did: once a port was chosen it stays the same.
    address: Option<Address>,
}

impl Held {
    pub(crate) fn new(Endpoint(wanted): Endpoint) -> Self {
        match wanted {
            Wanted::Inherited(socket) => Self::inherited(socket),
            wanted => Self { wanted: Some(wanted), state: Mutex::default() },
        }
    }

    pub(crate) fn inherited(socket: ListenSocket) -> Self {
        let address = Some(socket.local_addr().clone());
        Self { wanted: None, state: Mutex::new(State { socket: Some(Arc::new(socket)), address }) }
    }

    /// Whether it cannot be had again once it is closed.
    pub(crate) fn is_inherited(&self) -> bool {
        self.wanted.is_none()
    }

    /// The socket; bound now if there is none.
    pub(crate) fn open(&self, log: &Logger) -> Result<Arc<ListenSocket>, ListenError> {
        let mut state = self.lock();
        if let Some(socket) = &state.socket {
            return Ok(Arc::clone(socket));
        }
        let socket = match (&self.wanted, &state.address) {
            (Some(Wanted::Unix { path, mode }), _) => ListenSocket::unix(path, *mode)?,
            (Some(_), Some(address)) => ListenSocket::tcp(&address.to_string())?,
            (Some(Wanted::Tcp(address)), None) => ListenSocket::tcp(address)?,
            (_, Some(address)) => return Err(ListenError::Closed { address: address.clone() }),
            (_, None) => return Err(ListenError::Address { address: String::new() }),
        };
        let address = socket.local_addr().clone();
        slog::info!(log, "listening"; "address" => %address);
        let socket = Arc::new(socket);
        *state = State { socket: Some(Arc::clone(&socket)), address: Some(address) };
        Ok(socket)
    }

    /// Lets go of the socket; it closes when those who accept on it have too.
    pub(crate) fn close(&self) {
        self.lock().socket = None;
    }

    pub(crate) fn local_addr(&self) -> Option<Address> {
        self.lock().address.clone()
    }

    /// The state is replaced as a whole, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
