//! The body of a request, within its limits.

use std::error::Error;
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

type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request: a stream of pieces that is read as fast as it is polled, and no faster.
///
/// It ends with an error when it is longer than
/// [`max_body_bytes`](crate::Http::max_body_bytes) allows (a [`LengthLimitError`], which axum's extractors answer by
/// 413), when the client is silent for longer than [`body_read_timeout`](crate::Http::body_read_timeout)
/// (a [`BodyTimeout`]), or when the client is gone.
pub struct Body {
    incoming: Limited<Incoming>,
    /// `None` for a body that has no bytes or no limits.
    guard: Option<Box<Guard>>,
}

/// The client sent nothing of the body for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client sent nothing of the body for {0:?}; see `Http::body_read_timeout`")]
#[non_exhaustive]
pub struct BodyTimeout(pub Duration);

/// The limits of bodies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: Option<usize>,
    pub(crate) silence: Option<Duration>,
}

/// What the client did wrong with a request, as the answer to its request must know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<AtomicU8>);

/// How many bodies of a connection are still being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uploads(Arc<AtomicUsize>);

struct Guard {
    patience: IdleTimeout,
    fault: Fault,
    uploads: Uploads,
}

impl Fault {
    const LENGTH: u8 = 1;
    const SILENCE: u8 = 2;
    const HOST: u8 = 3;

    pub(crate) fn too_long() -> Self {
        Self(Arc::new(AtomicU8::new(Self::LENGTH)))
    }

    pub(crate) fn no_host() -> Self {
        Self(Arc::new(AtomicU8::new(Self::HOST)))
    }

    fn set(&self, fault: u8) {
        self.0.store(fault, Ordering::Relaxed);
    }

    /// The status that says what is wrong, if anything is.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self.0.load(Ordering::Relaxed) {
            Self::LENGTH => Some(StatusCode::PAYLOAD_TOO_LARGE),
            Self::SILENCE => Some(StatusCode::REQUEST_TIMEOUT),
            Self::HOST => Some(StatusCode::BAD_REQUEST),
            _ => None,
        }
    }
}

impl Uploads {
    pub(crate) fn are_there(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl BodyLimits {
    /// Whether a body that announces its length can be refused unread.
    pub(crate) fn refuse(&self, announced: u64) -> bool {
        self.bytes.is_some_and(|limit| announced > limit as u64)
    }
}

impl Body {
    /// A body that has bytes, and what will be known of it.
    pub(crate) fn guarded(incoming: Incoming, limits: BodyLimits, uploads: &Uploads) -> (Self, Fault) {
        let fault = Fault::default();
        uploads.0.fetch_add(1, Ordering::Relaxed);
        let guard = Guard {
            patience: IdleTimeout::new(limits.silence),
            fault: fault.clone(),
            uploads: uploads.clone(),
        };
        let incoming = Limited::new(incoming, limits.bytes.unwrap_or(usize::MAX));
        (Self { incoming, guard: Some(Box::new(guard)) }, fault)
    }

    /// A body without bytes.
    pub(crate) fn plain(incoming: Incoming) -> Self {
        Self { incoming: Limited::new(incoming, usize::MAX), guard: None }
    }
}

impl Guard {
    /// Waits until the silence has lasted too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<BodyTimeout> {
        ready!(self.patience.poll(cx));
        self.fault.set(Fault::SILENCE);
        Poll::Ready(BodyTimeout(self.patience.limit().unwrap_or_default()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.uploads.0.fetch_sub(1, Ordering::Relaxed);
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
        // Nothing comes after an error.
        if guard.fault.status().is_some() {
            return Poll::Ready(None);
        }
        let polled = Pin::new(incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Err(error))) if error.is::<LengthLimitError>() => guard.fault.set(Fault::LENGTH),
            Poll::Ready(_) => guard.patience.reset(),
            Poll::Pending => return guard.wait(cx).map(|late| Some(Err(late.into()))),
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
