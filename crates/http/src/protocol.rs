//! A tower service as a protocol of a listener.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use impresario_server::{Protocol, Socket};

use crate::conn::serve::serve;
use crate::http_service::HttpService;
use crate::settings::Settings;

/// Any tower service of HTTP requests, so any axum `Router`, as a protocol for a listener.
///
/// * Versions: HTTP/1.1 with keep-alive, and HTTP/2 for clients that begin with its preface. Bytes that are not HTTP are
///   answered by 400.
/// * Bodies are streams in both directions.
/// * Drain: requests in flight are answered, the next response says `Connection: close` (HTTP/2: GOAWAY), and idle
///   connections are closed.
/// * The service is cloned once per connection. Its futures and bodies need not be `Send`.
/// * Panics: with HTTP/1 a panic of the service is a panic of the connection's actor. With HTTP/2 the stream is reset, the
///   connection accepts no new streams, and it fails with the panic when the other streams have ended.
/// * Limits: those of [`Http`]. They replace the read and write timeouts of a
///   [`Transport`](impresario_server::Transport) around it. [`ConnectionInfo`](crate::ConnectionInfo) describes the limits
///   after an upgrade.
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
    Http { service: Mutex::new(service), settings: Settings::default() }
}

/// A service with its limits. Created by [`service`].
pub struct Http<S> {
    /// Locked to clone it, once per connection. A mutex, so that a service need not be `Sync`.
    service: Mutex<S>,
    settings: Settings,
}

impl<S> Http<S> {
    /// Timeout of a request head. The first head counts from the connect, later heads from their first byte.
    ///
    /// Default: 30 s. `None`: no limit.
    ///
    /// After it, a head that has begun is answered by 408. A connection without a byte is closed without a response.
    #[must_use]
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.head = timeout.into();
        self
    }

    /// How long a connection is kept without a request.
    ///
    /// Default: 60 s. `None`: no limit.
    ///
    /// After it, the connection is closed; with HTTP/2 after a GOAWAY.
    #[must_use]
    #[doc(alias = "keep_alive_timeout")]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.idle = timeout.into();
        self
    }

    /// How long a client may send no bytes of a body that the service reads.
    ///
    /// Default: 60 s. `None`: no limit.
    ///
    /// After it, the body fails with [`BodyTimeout`](crate::BodyTimeout). If the service then fails or returns an error
    /// status, the response is 408 and the connection is closed.
    #[must_use]
    pub fn body_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.bodies.read_timeout = timeout.into();
        self
    }

    /// How long a client may read no bytes of a response while the kernel's send buffer is full.
    ///
    /// Default: 60 s. `None`: no limit.
    ///
    /// After it, the connection is closed without a response. It applies to upgraded connections too.
    ///
    /// HTTP/2: each stream has a flow-control window, so it applies when all responses in flight wait for the client. A
    /// client that reads 1 KiB restarts it.
    #[must_use]
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.write = timeout.into();
        self
    }

    /// Maximum size of a request head, with its request line, in bytes.
    ///
    /// Default: 64 KiB.
    ///
    /// A longer head, or one with more than 100 fields, is answered by 431. A path of more than 65,534 bytes is answered by
    /// 414. The read buffer of an HTTP/1 connection grows to this size, but at least to 8 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_header_bytes = bytes;
        self
    }

    /// Maximum size of a request body, in bytes.
    ///
    /// Default: no limit. The body is a stream and is not buffered here. axum's extractors have a limit of 2 MiB.
    ///
    /// A request that announces more is answered by 413 and does not reach the service. If more arrives than was
    /// announced, the body fails with an error. If the service then fails or returns an error status, the response is 413.
    /// In both cases the connection is closed.
    #[must_use]
    #[doc(alias = "client_max_body_size")]
    pub fn max_body_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.settings.bodies.max_bytes = bytes.into();
        self
    }

    /// Whether HTTP/2 is enabled. Default: `true`.
    #[must_use]
    pub fn http2(mut self, enabled: bool) -> Self {
        self.settings.http2 = enabled;
        self
    }

    /// Maximum number of concurrent streams of an HTTP/2 connection.
    ///
    /// Default: 200. More are refused by `REFUSED_STREAM`, so the client may retry them.
    #[must_use]
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.settings.max_concurrent_streams = streams;
        self
    }

    /// Whether every request has a [`ConnectionInfo`](crate::ConnectionInfo) as an extension.
    ///
    /// Default: `false`. Then only requests that may be upgraded have it, because it costs a small request a few percent.
    #[must_use]
    #[doc(alias = "into_make_service_with_connect_info")]
    pub fn connection_info(mut self, for_all: bool) -> Self {
        self.settings.info_for_all = for_all;
        self
    }

    /// The protocols to offer in the TLS handshake (ALPN), the preferred one first.
    ///
    /// The negotiated protocol need not be passed back: HTTP/2 is detected by its preface over TLS too.
    pub fn alpn_protocols(&self) -> &'static [&'static [u8]] {
        if self.settings.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] }
    }
}

impl<S: HttpService + Send + 'static> Protocol for Http<S> {
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        // Poisoning is ignored: a clone that panics does not change the original.
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serve(socket, service, self.settings.clone())
    }

    fn handler_name(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

impl<S> fmt::Debug for Http<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("settings", &self.settings).finish_non_exhaustive()
    }
}
