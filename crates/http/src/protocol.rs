//! A tower service, served to one connection after the other by hyper.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use impresario_server::{Protocol, Socket};

use crate::HttpService;
use crate::serve::serve;
use crate::settings::Settings;

/// Any tower service of HTTP requests, so any axum `Router`, as a protocol for a listener.
///
/// HTTP/1.1 with keep-alive, and HTTP/2 for clients that begin with its preface; bodies are streams in both directions.
/// Something that is no HTTP is answered by 400. When the listener drains, requests that are under way are answered,
/// the next answer says `Connection: close` (HTTP/2: GOAWAY), and connections that stay idle are closed.
///
/// The service is cloned once for each connection. Neither its futures nor its bodies need to be `Send`. A panic in it
/// is that of the connection's actor with HTTP/1. With HTTP/2 the stream is reset, the connection takes no new ones and
/// ends with the others, and the panic is reported then.
///
/// Limits are those of [`Http`]. They replace the read and write time-outs of a
/// [`Transport`](impresario_server::Transport) that carries it; what holds after an upgrade,
/// [`ConnectionInfo`](crate::ConnectionInfo) says.
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

/// A service with its limits; see [`service`].
pub struct Http<S> {
    /// Locked only to be cloned, once for each connection, so that a service need not be `Sync`.
    service: Mutex<S>,
    settings: Settings,
}

impl<S> Http<S> {
    /// How long a client may take to send the head of a request: the first one from when it has connected, others from
    /// their first byte. 30 s unless told; `None` means as long as it likes.
    ///
    /// A head that has begun is answered by 408. A client that has sent nothing is disconnected without a word.
    #[must_use]
    pub fn header_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.head = timeout.into();
        self
    }

    /// How long a connection is kept on which nothing is asked. 60 s unless told; `None` means for ever.
    ///
    /// It is closed then; with HTTP/2 after a GOAWAY.
    #[must_use]
    #[doc(alias = "keep_alive_timeout")]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.idle = timeout.into();
        self
    }

    /// How long a client may send nothing of a body that the service waits for. 60 s unless told; `None` means as long
    /// as it likes.
    ///
    /// The service gets a [`BodyTimeout`](crate::BodyTimeout). If it has not answered yet, and fails or answers with an
    /// error, the answer is 408, and the last of its connection.
    #[must_use]
    pub fn body_read_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.bodies.silence = timeout.into();
        self
    }

    /// How long a client may take nothing of an answer while it fills the kernel's buffers. 60 s unless told; `None`
    /// means as long as it likes. The connection is cut off then. It holds for upgraded connections too.
    ///
    /// With HTTP/2, where each stream has a window of its own, it holds when all answers that are under way wait for the
    /// client; one that takes a KiB in that time is waited for.
    #[must_use]
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.write = timeout.into();
        self
    }

    /// How long the head of a request may be, with its request line. 64 KiB unless told.
    ///
    /// A longer one, or one with more than 100 fields, is answered by 431; a longer path by 414 if it has more than
    /// 65,534 bytes. The buffer of an HTTP/1 connection, which must hold a head, grows to no more than this or 8 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_header_bytes = bytes;
        self
    }

    /// How long the body of a request may be. Unlimited unless told: it is a stream, so its length costs nothing here,
    /// and who collects it has a limit already (axum's extractors: 2 MiB).
    ///
    /// If the request announces more, it is answered by 413 and the service does not see it. If more is sent than
    /// was announced, the service gets an error; if it fails or answers with an error then, the answer is 413. It is
    /// the last of its connection.
    #[must_use]
    #[doc(alias = "client_max_body_size")]
    pub fn max_body_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.settings.bodies.bytes = bytes.into();
        self
    }

    /// Whether clients may speak HTTP/2. They may unless told.
    #[must_use]
    pub fn http2(mut self, enabled: bool) -> Self {
        self.settings.http2 = enabled;
        self
    }

    /// How many requests may be under way at a time on a connection of HTTP/2. 200 unless told. More are refused by
    /// `REFUSED_STREAM`, so that the client may send them again.
    #[must_use]
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.settings.max_concurrent_streams = streams;
        self
    }

    /// Whether every request has a [`ConnectionInfo`](crate::ConnectionInfo) among its extensions. Otherwise only those
    /// have it that may be upgraded, because it costs a small request some percent.
    #[must_use]
    #[doc(alias = "into_make_service_with_connect_info")]
    pub fn connection_info(mut self, for_all: bool) -> Self {
        self.settings.info_for_all = for_all;
        self
    }

    /// The protocols to offer when TLS negotiates one (ALPN), the preferred one first.
    ///
    /// What was negotiated need not be told: a client of HTTP/2 begins with its preface over TLS too.
    pub fn alpn_protocols(&self) -> &'static [&'static [u8]] {
        if self.settings.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] }
    }
}

impl<S: HttpService + Send + 'static> Protocol for Http<S> {
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        // A clone that panics leaves the original as it was.
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serve(socket, service, self.settings.clone())
    }
}

impl<S> fmt::Debug for Http<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("settings", &self.settings).finish_non_exhaustive()
    }
}
