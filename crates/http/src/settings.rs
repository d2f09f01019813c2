//! The limits of HTTP, and hyper set up for them.

use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

use crate::body::BodyLimits;
use crate::pace::{LastLimits, Limits};
use crate::streams::Spawner;

const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MAX_CONCURRENT_STREAMS: u32 = 200;

/// How long a connection that is to end waits for a request that may be under way, and for the rest of a head.
pub(crate) const LAST: LastLimits =
    LastLimits { head: Duration::from_secs(1), idle: Duration::from_millis(100) };
/// The same with HTTP/2. There the client knows, and is only waited for while it takes what it was sent.
pub(crate) const LAST_SHARED: LastLimits =
    LastLimits { head: Duration::from_secs(5), idle: Duration::from_secs(5) };

/// The smallest limit of a buffer that hyper takes.
const MIN_BUFFER_BYTES: usize = 8 * 1024;
/// How often a client of HTTP/2 is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How many streams that the client reset may wait to be noticed before the connection is ended (rapid reset).
const MAX_PENDING_RESETS: usize = 20;
/// How many streams may be reset because of the client's mistakes before the connection is ended.
const MAX_ERROR_RESETS: usize = 1024;
/// How much of an answer is kept for a client of HTTP/2 that does not take it, for each stream.
const MAX_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// All that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) bodies: BodyLimits,
    pub(crate) max_header_bytes: usize,
    pub(crate) http2: bool,
    pub(crate) max_concurrent_streams: u32,
    pub(crate) info_for_all: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits {
                head: Some(HEADER_READ_TIMEOUT),
                idle: Some(IDLE_TIMEOUT),
                write: Some(WRITE_TIMEOUT),
            },
            bodies: BodyLimits { bytes: None, silence: Some(BODY_READ_TIMEOUT) },
            max_header_bytes: MAX_HEADER_BYTES,
            http2: true,
            max_concurrent_streams: MAX_CONCURRENT_STREAMS,
            info_for_all: false,
        }
    }
}

impl Settings {
    /// Without hyper's timers: [`Watch`](crate::watch::Watch) stands for them.
    pub(crate) fn http1(&self) -> http1::Builder {
        let mut hyper = http1::Builder::new();
        hyper
            .header_read_timeout(None)
            .max_header_size(self.max_header_bytes)
            .max_buf_size(self.max_header_bytes.max(MIN_BUFFER_BYTES));
        hyper
    }

    pub(crate) fn http2(&self, spawner: Spawner) -> http2::Builder<Spawner> {
        let mut hyper = http2::Builder::new(spawner);
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
