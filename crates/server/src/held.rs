//! The listening socket that a listener holds while its acceptors come and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slog::Logger;

use crate::endpoint::{Endpoint, Name, Origin};
use crate::{Address, ListenError, ListenSocket};

/// A listening socket, or where to bind one. Bound at the first start and kept over restarts; closed by a drain.
#[derive(Debug)]
pub(crate) struct Held {
    source: Source,
    state: Mutex<State>,
}

/// How to have the socket again once it is closed.
#[derive(Debug)]
enum Source {
    Bound(Name),
    /// Not at all.
    Inherited(Address),
}

#[derive(Debug, Default)]
struct State {
    socket: Option<Arc<ListenSocket>>,
    /// Where it listens, or did: once a port was chosen it stays the same.
    address: Option<Address>,
}

impl State {
    fn of(socket: Arc<ListenSocket>) -> Self {
        Self { address: Some(socket.local_addr().clone()), socket: Some(socket) }
    }
}

impl Held {
    pub(crate) fn new(Endpoint(origin): Endpoint) -> Self {
        match origin {
            Origin::Bound(name) => Self { source: Source::Bound(name), state: Mutex::default() },
            Origin::Inherited(socket) => Self::inherited(socket),
        }
    }

    pub(crate) fn inherited(socket: ListenSocket) -> Self {
        let source = Source::Inherited(socket.local_addr().clone());
        Self { source, state: Mutex::new(State::of(Arc::new(socket))) }
    }

    /// Where it listens, if it cannot be had again once it is closed.
    pub(crate) fn inherited_addr(&self) -> Option<&Address> {
        match &self.source {
            Source::Bound(_) => None,
            Source::Inherited(address) => Some(address),
        }
    }

    /// The socket; bound now if there is none.
    pub(crate) fn open(&self, log: &Logger) -> Result<Arc<ListenSocket>, ListenError> {
        let mut state = self.lock();
        if let Some(socket) = &state.socket {
            return Ok(Arc::clone(socket));
        }
        let socket = Arc::new(match &self.source {
            Source::Bound(name) => ListenSocket::bind_to(name, state.address.as_ref())?,
            Source::Inherited(address) => return Err(ListenError::Closed { address: address.clone() }),
        });
        slog::info!(log, "listening"; "address" => %socket.local_addr());
        *state = State::of(Arc::clone(&socket));
        Ok(socket)
    }

    /// All of them, or none more than before: whoever connected to one of the others would wait for nobody.
    pub(crate) fn open_all(all: &[Arc<Self>], log: &Logger) -> Result<(), ListenError> {
        let closed: Vec<_> = all.iter().filter(|held| held.lock().socket.is_none()).collect();
        let opened = all.iter().try_for_each(|held| held.open(log).map(drop));
        if opened.is_err() {
            closed.iter().for_each(|held| held.close());
        }
        opened
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
