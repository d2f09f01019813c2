//! The state of one connection: requests in flight, responses, the first failure.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;
use impresario_actor::catch_panic;

use crate::body::{Body, BodyLimits, ClientError, OpenRequestBodies};
use crate::conn::timeouts::Phase;
use crate::connection_info::ConnectionInfo;
use crate::error::{BoxError, is_peer_error};
use crate::io::stream::StreamState;

/// How many body bytes an HTTP/2 client must read within the write timeout to restart it.
const MIN_PROGRESS_BYTES: usize = 1024;

/// The state that the requests of one connection share. It tells the timeouts which phase the connection is in.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// Requests without a complete response.
    in_flight: Cell<usize>,
    /// Complete responses. The counter wraps.
    responses: Cell<usize>,
    /// Requests in flight that have body data which the client does not read. Counted for HTTP/2 only: each stream has a
    /// flow-control window, so a full window does not show at the socket.
    blocked_on_client: Cell<usize>,
    /// Body frames of such responses that left the window of their stream. The counter wraps.
    body_frames_sent: Cell<usize>,
    request_bodies: OpenRequestBodies,
    /// The next response of an HTTP/1 connection is its last one.
    draining: Cell<bool>,
    /// The first failure of the service on a shared connection. It is reported when the connection ends.
    failure: RefCell<Option<String>>,
    stream: Arc<StreamState>,
    options: ConnectionOptions,
}

/// The options of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionOptions {
    pub(crate) bodies: BodyLimits,
    pub(crate) info: ConnectionInfo,
    /// Whether every request gets `info` as an extension.
    pub(crate) info_for_all: bool,
    /// HTTP/2: requests share the connection, so no request may end it.
    pub(crate) shared: bool,
}

/// One request in flight: counts it, and undoes the counts when dropped.
#[derive(Debug)]
pub(crate) struct ResponseGuard {
    state: Rc<ConnectionState>,
    /// Whether it is counted in `ConnectionState::blocked_on_client`.
    blocked_on_client: bool,
}

impl ResponseGuard {
    pub(crate) fn state(&self) -> &ConnectionState {
        &self.state
    }

    /// Sets whether body data waits for the client to read. From `true` to `false` counts as progress.
    pub(crate) fn set_blocked_on_client(&mut self, blocked_on_client: bool) {
        let state = &self.state;
        match (std::mem::replace(&mut self.blocked_on_client, blocked_on_client), blocked_on_client) {
            (false, true) => state.blocked_on_client.set(state.blocked_on_client.get() + 1),
            (true, false) => {
                state.blocked_on_client.set(state.blocked_on_client.get() - 1);
                state.body_frames_sent.set(state.body_frames_sent.get().wrapping_add(1));
            }
            _ => {}
        }
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.set_blocked_on_client(false);
        // Bytes of a request body are not the beginning of the next head.
        self.state.stream.clear_bytes_seen();
        self.state.in_flight.set(self.state.in_flight.get() - 1);
        self.state.responses.set(self.state.responses.get().wrapping_add(1));
    }
}

impl ConnectionState {
    pub(crate) fn new(stream: Arc<StreamState>, options: ConnectionOptions) -> Self {
        Self {
            in_flight: Cell::default(),
            responses: Cell::default(),
            blocked_on_client: Cell::default(),
            body_frames_sent: Cell::default(),
            request_bodies: OpenRequestBodies::default(),
            draining: Cell::default(),
            failure: RefCell::default(),
            stream,
            options,
        }
    }

    /// From now on each response of HTTP/1 says `Connection: close`.
    pub(crate) fn begin_drain(&self) {
        self.draining.set(true);
    }

    /// Whether a response must say `Connection: close`. HTTP/2 sends GOAWAY in its place.
    pub(crate) fn must_close(&self) -> bool {
        self.draining.get() && !self.options.shared
    }

    /// What the connection waits for, and a counter. A new value of the counter restarts the phase.
    pub(crate) fn phase(&self) -> (Phase, usize) {
        if self.stream.is_stalled() {
            return (Phase::Stalled, self.stream.sent());
        }
        let in_flight = self.in_flight.get();
        let steps = self.stream.body_bytes_sent() / MIN_PROGRESS_BYTES;
        if in_flight > 0 && self.blocked_on_client.get() == in_flight {
            return (Phase::Stalled, self.body_frames_sent.get().wrapping_add(steps));
        }
        let responses = self.responses.get();
        let phase = if in_flight > 0 || self.request_bodies.any() {
            Phase::Busy
        } else if self.options.shared {
            // A response that is complete for the service may still wait for the client to read it.
            let progress = match self.draining.get() {
                true => self.stream.body_bytes_sent(),
                false => responses.wrapping_add(steps),
            };
            return (Phase::Idle, progress);
        } else if self.stream.bytes_seen() {
            Phase::Head { begun: true }
        } else if responses == 0 {
            Phase::Head { begun: false }
        } else {
            Phase::Idle
        };
        (phase, responses)
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(crate) fn start_request(self: &Rc<Self>) -> ResponseGuard {
        self.stream.clear_bytes_seen();
        self.in_flight.set(self.in_flight.get() + 1);
        ResponseGuard { state: Rc::clone(self), blocked_on_client: false }
    }

    /// Applies the body limits to a request that may have a body.
    ///
    /// # Errors
    ///
    /// The announced length is above the limit.
    pub(crate) fn limit_body(
        &self,
        request: Request<Incoming>,
    ) -> Result<(Request<Body>, ClientError), ClientError> {
        if self.options.bodies.refuse(request.body().size_hint().lower()) {
            return Err(ClientError::too_long());
        }
        let (parts, incoming) = request.into_parts();
        let (body, client_error) = Body::limited(incoming, self.options.bodies, &self.request_bodies);
        Ok((Request::from_parts(parts, body), client_error))
    }

    /// Whether requests share the connection (HTTP/2), so that no request may end it.
    pub(crate) fn is_shared(&self) -> bool {
        self.options.shared
    }

    /// Inserts [`ConnectionInfo`] into the extensions of requests that may be upgraded, or of all if that is configured.
    #[inline]
    pub(crate) fn insert_connection_info(&self, request: &mut Request<Incoming>) {
        // This lookup is cheap: most requests have no extensions.
        let may_upgrade = request.extensions().get::<OnUpgrade>().is_some();
        if may_upgrade {
            self.stream.allow_upgrade();
        }
        if may_upgrade || self.options.info_for_all {
            request.extensions_mut().insert(self.options.info.clone());
        }
    }

    /// Runs code of the service. On a shared connection a panic becomes an error of the one request.
    pub(crate) fn catch_panic<T>(&self, code: impl FnOnce() -> T) -> Result<T, BoxError> {
        if !self.is_shared() {
            return Ok(code());
        }
        catch_panic(code).map_err(|reason| {
            self.set_failure(reason.to_string());
            "the service panicked".into()
        })
    }

    /// Records an error of the service on a shared connection, unless the peer caused it.
    pub(crate) fn record_error(&self, error: BoxError) -> BoxError {
        if self.options.shared && !is_peer_error(&*error) {
            self.set_failure(error.to_string());
        }
        error
    }

    fn set_failure(&self, failure: String) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(crate) fn take_failure(&self) -> Option<String> {
        self.failure.take()
    }
}
