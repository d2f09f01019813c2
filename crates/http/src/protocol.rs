//! A tower service, served to one connection after the other by hyper.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use impresario_server::{Protocol, Socket};
use tower_service::Service;

use crate::error::blame;
use crate::exchange::Exchange;
use crate::stream::Stream;

/// How long a client may take to send the head of a request, also of the next one on the same connection.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to finish the head of a request once the listener drains.
const LAST_HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// How old a connection is at least before a draining listener closes it because nothing was asked: a client that has
/// just connected is about to ask.
const FIRST_HEAD_GRACE: Duration = Duration::from_millis(100);
/// How long the head of a request may be, with its request line.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The smallest limit of a buffer that hyper takes.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// Any tower service of HTTP requests, so any axum `Router`, as a protocol for a listener.
///
/// HTTP/1.1 with keep-alive; bodies are streams in both directions. A head longer than 64 KiB is answered by 431,
/// something that is no HTTP by 400. A client that does not finish its head within 30 s, or sends no other for 30 s
/// after an answer, is disconnected. When the listener drains, idle connections close, and others after the answer they
/// are at. A request that was sent before is still answered, if its head is there within a second.
///
/// The service is cloned once for each connection, whose requests it answers one after the other. Neither its futures
/// nor its bodies need to be `Send`.
///
/// ```
/// # async fn hello() -> &'static str { "hello\n" }
/// use axum::{Router, routing::get};
/// use impresario_server::Listener;
///
/// let routes = Router::new().route("/", get(hello));
/// let listener = Listener::tcp("127.0.0.1:8080", impresario_http::service(routes));
/// ```
pub fn service<S: Clone + Send + 'static>(service: S) -> Http<S> {
    let http = Http {
        service: Mutex::new(service),
        hyper: http1::Builder::new(),
        header_read_timeout: Some(HEADER_READ_TIMEOUT),
    };
    http.max_header_bytes(MAX_HEADER_BYTES)
}

/// See [`service`].
pub struct Http<S> {
    /// Locked only to be cloned, once for each connection, so that a service need not be `Sync`.
    service: Mutex<S>,
    hyper: http1::Builder,
    header_read_timeout: Option<Duration>,
}

impl<S> Http<S> {
    /// How long a client may take to send the head of a request, also of the next one on the same connection. `None`
    /// means as long as it likes.
    #[must_use]
    pub fn header_read_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { header_read_timeout: timeout.into(), ..self }
    }

    /// How long the head of a request may be, with its request line. A longer one is answered by 431. The buffer of a
    /// connection, which must hold a head, grows to no more than this or 8 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.hyper.max_header_size(bytes).max_buf_size(bytes.max(MIN_BUFFER_BYTES));
        self
    }
}

impl<S, B> Protocol for Http<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn serve(&self, mut socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        // A clone that panics leaves the original as it was.
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (hyper, timeout) = (self.hyper.clone(), self.header_read_timeout);
        // hyper reads on while the service is at work. The client's silence then is no fault of its own, and its turns
        // have a limit here.
        socket.set_read_timeout(None);
        async move {
            let result = converse(&hyper, &mut socket, Exchange::new(service), timeout).await;
            // hyper has said its last word. The client may still be at it, with a head that was too long, say.
            socket.close().await;
            result
        }
    }
}

/// Has hyper answer requests until the connection is over.
async fn converse<S, B>(
    hyper: &http1::Builder,
    socket: &mut Socket,
    exchange: Exchange<S>,
    timeout: Option<Duration>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (began, draining) = (Instant::now(), socket.draining());
    let stream = Stream::new(socket);
    let mut silence = pin!(exchange.silence(timeout));
    let answer = service_fn(|request| exchange.answer(request));
    let mut connection = pin!(hyper.serve_connection(TokioIo::new(&stream), answer));
    tokio::select! {
        biased;
        result = connection.as_mut() => return result.map_err(blame),
        () = silence.as_mut() => return Err(io::ErrorKind::TimedOut.into()),
        () = draining => exchange.leave(),
    }
    // A client that is still reading its answer is not the one that is waited for.
    let idle = exchange.is_clients_turn() && !stream.is_writing();
    let unasked = exchange.unasked(LAST_HEAD_TIMEOUT);
    // hyper would close an idle connection without a look at what was sent already.
    if !(idle && stream.has_pending()) {
        let grace = FIRST_HEAD_GRACE.saturating_sub(began.elapsed());
        if idle && !grace.is_zero() {
            tokio::select! {
                biased;
                result = connection.as_mut() => return result.map_err(blame),
                () = silence.as_mut() => return Err(io::ErrorKind::TimedOut.into()),
                () = exchange.unasked(grace) => {}
            }
        }
        connection.as_mut().graceful_shutdown();
    }
    tokio::select! {
        biased;
        result = connection => result.map_err(blame),
        () = silence => Err(io::ErrorKind::TimedOut.into()),
        () = unasked, if idle => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl<S> fmt::Debug for Http<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("hyper", &self.hyper)
            .field("header_read_timeout", &self.header_read_timeout)
            .finish_non_exhaustive()
    }
}
