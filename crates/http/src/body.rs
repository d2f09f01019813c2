//! The body of a request, with its limits.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{LengthLimitError, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use impresario_server::IdleTimeout;

use crate::error::{BodyTimeout, BoxError};

/// The body of a request: a stream of frames. Bytes are read from the socket only when it is polled.
///
/// # Errors
///
/// After an error the stream ends.
///
/// * [`LengthLimitError`]: longer than [`max_body_bytes`](crate::Http::max_body_bytes). axum's extractors answer it by
///   413.
/// * [`BodyTimeout`]: no bytes for [`body_read_timeout`](crate::Http::body_read_timeout).
/// * [`hyper::Error`]: the client closed the connection or reset the stream.
pub struct Body {
    incoming: Limited<Incoming>,
    /// `None` for a body without bytes.
    guard: Option<Box<Guard>>,
}

/// The limits of a request body. `None`: no limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyLimits {
    pub(crate) max_bytes: Option<usize>,
    pub(crate) read_timeout: Option<Duration>,
}

/// The error of the client in one request, if there is one. The body sets it, the response future reads it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientError(Arc<AtomicU8>);

/// How many request bodies of one connection are not dropped yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenRequestBodies(Arc<AtomicUsize>);

/// Applies the read timeout, records errors of the client, and counts the body as open until it is dropped.
struct Guard {
    idle_timeout: IdleTimeout,
    client_error: ClientError,
    open_bodies: OpenRequestBodies,
}

impl ClientError {
    const TOO_LONG: u8 = 1;
    const TIMED_OUT: u8 = 2;
    const NO_HOST: u8 = 3;

    pub(crate) fn too_long() -> Self {
        Self(Arc::new(AtomicU8::new(Self::TOO_LONG)))
    }

    pub(crate) fn no_host() -> Self {
        Self(Arc::new(AtomicU8::new(Self::NO_HOST)))
    }

    fn set(&self, client_error: u8) {
        self.0.store(client_error, Ordering::Relaxed);
    }

    /// The status of the error response. `None`: no error.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.0.load(Ordering::Relaxed) {
            Self::TOO_LONG => Some(StatusCode::PAYLOAD_TOO_LARGE),
            Self::TIMED_OUT => Some(StatusCode::REQUEST_TIMEOUT),
            Self::NO_HOST => Some(StatusCode::BAD_REQUEST),
            _ => None,
        }
    }
}

impl OpenRequestBodies {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl BodyLimits {
    /// Whether the announced length, in bytes, is above the limit.
    pub(crate) fn refuse(&self, announced: u64) -> bool {
        self.max_bytes.is_some_and(|limit| announced > limit as u64)
    }
}

impl Body {
    /// A body with limits, and the place where its error will be recorded.
    pub(crate) fn limited(
        incoming: Incoming,
        limits: BodyLimits,
        open_bodies: &OpenRequestBodies,
    ) -> (Self, ClientError) {
        let client_error = ClientError::default();
        open_bodies.0.fetch_add(1, Ordering::Relaxed);
        let guard = Guard {
            idle_timeout: IdleTimeout::new(limits.read_timeout),
            client_error: client_error.clone(),
            open_bodies: open_bodies.clone(),
        };
        let incoming = Limited::new(incoming, limits.max_bytes.unwrap_or(usize::MAX));
        (Self { incoming, guard: Some(Box::new(guard)) }, client_error)
    }

    /// A body without bytes. It needs no limits.
    pub(crate) fn empty(incoming: Incoming) -> Self {
        Self { incoming: Limited::new(incoming, usize::MAX), guard: None }
    }
}

impl Guard {
    /// Waits for the read timeout.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyTimeout> {
        ready!(self.idle_timeout.poll(cx));
        self.client_error.set(ClientError::TIMED_OUT);
        Poll::Ready(BodyTimeout(self.idle_timeout.limit().unwrap_or_default()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.open_bodies.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { incoming, guard } = &mut *self;
        let Some(guard) = guard else { return Pin::new(incoming).poll_frame(cx) };
        // The stream ends after an error.
        if guard.client_error.status().is_some() {
            return Poll::Ready(None);
        }
        let polled = Pin::new(incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Err(error))) if error.is::<LengthLimitError>() => {
                guard.client_error.set(ClientError::TOO_LONG);
            }
            Poll::Ready(_) => guard.idle_timeout.reset(),
            Poll::Pending => return guard.wait(cx).map(|timeout| Some(Err(timeout.into()))),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
