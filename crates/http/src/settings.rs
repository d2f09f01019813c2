//! The limits of HTTP with their defaults, and hyper's builders with these limits.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

use crate::body::BodyLimits;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_CONCURRENT_STREAMS: u32 = 200;

/// How long each phase of a connection may last. `None`: no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseLimits {
    pub(crate) head: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

/// How long a phase of a draining connection may last at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainLimits {
    /// The rest of a head that has begun.
    pub(crate) head: Duration,
    /// Without a byte: the client may have sent a request that has not arrived yet.
    pub(crate) idle: Duration,
}

/// Drain limits of HTTP/1. The client does not know of the drain until the next response.
pub(crate) const DRAIN_LIMITS_H1: DrainLimits =
    DrainLimits { head: Duration::from_secs(1), idle: Duration::from_millis(100) };
/// Drain limits of HTTP/2. GOAWAY notifies the client, so the limits only apply while the client reads no response.
pub(crate) const DRAIN_LIMITS_H2: DrainLimits =
    DrainLimits { head: Duration::from_secs(5), idle: Duration::from_secs(5) };

/// The smallest `max_buf_size` that hyper accepts; it panics below.
const MIN_BUFFER_BYTES: usize = 8 * 1024;
/// Interval of HTTP/2 pings, and the timeout of their acknowledgement.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How many streams that the client has reset may be pending before hyper ends the connection (rapid reset,
/// CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// How many streams may be reset for protocol errors of the client before hyper ends the connection.
const MAX_ERROR_RESETS: usize = 1024;
/// Bytes of a response that hyper buffers per HTTP/2 stream while the client does not read.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// All options of [`Http`](crate::Http).
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: PhaseLimits,
    pub(crate) bodies: BodyLimits,
    pub(crate) max_header_bytes: usize,
    pub(crate) http2: bool,
    pub(crate) max_concurrent_streams: u32,
    pub(crate) info_for_all: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: PhaseLimits {
                head: Some(HEADER_READ_TIMEOUT),
                idle: Some(IDLE_TIMEOUT),
                write: Some(WRITE_TIMEOUT),
            },
            bodies: BodyLimits { max_bytes: None, read_timeout: Some(BODY_READ_TIMEOUT) },
            max_header_bytes: MAX_HEADER_BYTES,
            http2: true,
            max_concurrent_streams: MAX_CONCURRENT_STREAMS,
            info_for_all: false,
        }
    }
}

impl Settings {
    /// hyper's builder for HTTP/1, without hyper's timers: `conn::timeouts::DeadlineWatch` replaces them.
    pub(crate) fn http1(&self) -> http1::Builder {
        let mut hyper = http1::Builder::new();
        hyper
            .header_read_timeout(None)
            .max_header_size(self.max_header_bytes)
            .max_buf_size(self.max_header_bytes.max(MIN_BUFFER_BYTES));
        hyper
    }

    /// hyper's builder for HTTP/2, with pings and with extended CONNECT (RFC 8441).
    pub(crate) fn http2<E: Clone>(&self, executor: E) -> http2::Builder<E> {
        let mut hyper = http2::Builder::new(executor);
        hyper
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .enable_connect_protocol();
        hyper
    }
}
