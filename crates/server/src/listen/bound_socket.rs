//! The listening socket of a listener, which it keeps over restarts of its acceptors.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slog::Logger;

use super::bind_address::BindAddress;
use super::endpoint::{Endpoint, Origin};
use super::listen_socket::{ListenError, ListenSocket};
use crate::address::Address;

/// A listening socket, or the address to bind one. It is bound at the first start, kept over restarts and closed by a
/// drain.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    /// The address to bind it to; `None` for an inherited socket, which cannot be bound again after it is closed.
    bind_address: Option<BindAddress>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    socket: Option<Arc<ListenSocket>>,
    /// The address of the present or last socket. A port that the kernel chose is kept for the next bind.
    address: Option<Address>,
}

impl State {
    fn of(socket: Arc<ListenSocket>) -> Self {
        Self { address: Some(socket.local_addr().clone()), socket: Some(socket) }
    }
}

impl BoundSocket {
    pub(crate) fn new(Endpoint(origin): Endpoint) -> Self {
        match origin {
            Origin::Bound(address) => Self { bind_address: Some(address), state: Mutex::default() },
            Origin::Inherited(socket) => Self::inherited(socket),
        }
    }

    pub(crate) fn inherited(socket: ListenSocket) -> Self {
        Self { bind_address: None, state: Mutex::new(State::of(Arc::new(socket))) }
    }

    /// The address of an inherited socket; `None` for a socket that can be bound again.
    pub(crate) fn inherited_addr(&self) -> Option<Address> {
        if self.bind_address.is_none() { self.local_addr() } else { None }
    }

    /// The socket. Binds one if there is none.
    pub(crate) fn open(&self, log: &Logger) -> Result<Arc<ListenSocket>, ListenError> {
        let mut state = self.lock();
        if let Some(socket) = &state.socket {
            return Ok(Arc::clone(socket));
        }
        let socket = Arc::new(match (&self.bind_address, &state.address) {
            (Some(address), chosen) => ListenSocket::bind_to(address, chosen.as_ref())?,
            (None, Some(address)) => return Err(ListenError::Closed { address: address.clone() }),
            (None, None) => return Err(ListenError::Closed { address: Address::unnamed() }),
        });
        slog::info!(log, "listening"; "address" => %socket.local_addr());
        *state = State::of(Arc::clone(&socket));
        Ok(socket)
    }

    /// Opens all sockets. After an error it closes those that it opened: a client that connects to them would wait without
    /// an acceptor.
    pub(crate) fn open_all(all: &[Arc<Self>], log: &Logger) -> Result<(), ListenError> {
        let closed: Vec<_> = all.iter().filter(|socket| socket.lock().socket.is_none()).collect();
        let opened = all.iter().try_for_each(|socket| socket.open(log).map(drop));
        if opened.is_err() {
            closed.iter().for_each(|socket| socket.close());
        }
        opened
    }

    /// Drops this reference to the socket. The socket is closed when acceptors have dropped theirs.
    pub(crate) fn close(&self) {
        self.lock().socket = None;
    }

    pub(crate) fn local_addr(&self) -> Option<Address> {
        self.lock().address.clone()
    }

    /// The state is replaced as a whole, so a poisoned lock is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
