//! One HTTP connection, from the claimed socket to its close.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use impresario_server::Socket;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::conn::connection_state::{ConnectionOptions, ConnectionState};
use crate::conn::detect::{Version, detect};
use crate::conn::hyper_service::HyperService;
use crate::conn::timeouts::{DeadlineWatch, Phase, WatchEvent};
use crate::connection_info::ConnectionInfo;
use crate::error::classify_error;
use crate::http_service::HttpService;
use crate::io::data_frames::DataFrameCounter;
use crate::io::stream::{CutOnDrop, Stream, UpgradeLimits};
use crate::io::streams::Streams;
use crate::settings::{DRAIN_LIMITS_H1, DRAIN_LIMITS_H2, Settings};

/// The response to a request head that does not end within the header read timeout.
const REQUEST_TIMEOUT: &str =
    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long the send of [`REQUEST_TIMEOUT`] may take.
const ERROR_RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Write timeout of the closing phase, when [`DeadlineWatch`] is not polled any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How the exchange of requests and responses ended.
#[derive(Debug)]
enum Ended {
    /// hyper has finished. After an upgrade the service may own the socket.
    Finished(hyper::Result<()>),
    /// This phase has expired.
    TimedOut(Phase),
    /// The service failed on a shared connection. The failure is not reported yet.
    Failed(String),
}

/// Serves one connection, closes it, and returns how it ended.
///
/// # Errors
///
/// The kind tells the fault of the peer from that of the service, as [`classify_error`] has it.
pub(crate) async fn serve<S: HttpService + 'static>(
    mut socket: Socket,
    service: S,
    settings: Settings,
) -> io::Result<()> {
    // `watch` applies the timeouts of HTTP per phase, so the socket has none. After an upgrade nothing polls `watch`, so
    // the socket gets `upgrade_limits`.
    let upgrade_limits = UpgradeLimits { read: socket.read_timeout(), write: settings.limits.write };
    socket.set_read_timeout(None);
    socket.set_write_timeout(None);
    let mut watch = DeadlineWatch::new(settings.limits, DRAIN_LIMITS_H1, socket.draining());
    let version = match settings.http2 {
        true => match detect_version(&mut socket, &mut watch).await? {
            Ok(version) => version,
            Err(phase) => return close_timed_out(socket, phase).await,
        },
        false => Version::Http1,
    };
    let options = ConnectionOptions {
        bodies: settings.bodies,
        info: ConnectionInfo::new(&socket),
        info_for_all: settings.info_for_all,
        shared: version == Version::Http2,
    };
    let data_frames = options.shared.then(DataFrameCounter::default);
    let (stream, stream_state, mut returned) = Stream::new(socket, data_frames);
    let state = Rc::new(ConnectionState::new(Arc::clone(&stream_state), options));
    if watch.is_draining() {
        state.begin_drain();
    }
    let hyper_service = HyperService::new(service, Rc::clone(&state));
    let end = match version {
        Version::Http1 => http1(&settings, stream, hyper_service, &state, &mut watch).await,
        // Boxed: this future is large, and without the box each HTTP/1 connection would have its size.
        Version::Http2 => Box::pin(http2(&settings, stream, hyper_service, &state, &mut watch)).await,
    };
    drop(state);
    let socket = match returned.try_recv() {
        Ok(socket) => socket,
        Err(oneshot::error::TryRecvError::Closed) => return Ok(()),
        Err(oneshot::error::TryRecvError::Empty) => {
            // The service has the upgraded stream. The actor and its permit stay until the service drops it.
            stream_state.hand_over(upgrade_limits);
            let _cut = CutOnDrop(stream_state);
            let Ok(socket) = returned.await else { return Ok(()) };
            socket
        }
    };
    match end {
        Ended::TimedOut(phase) => close_timed_out(socket, phase).await,
        Ended::Finished(result) => {
            // The client may still send, for example a head that was too long. A close with unread bytes would reset the
            // connection, and the client would lose the response.
            close_lingering(socket).await;
            result.map_err(classify_error)
        }
        Ended::Failed(failure) => {
            close_lingering(socket).await;
            Err(io::Error::other(failure))
        }
    }
}

/// Reads until the version is known, or until a phase has expired (the inner error). The bytes are unread afterwards.
async fn detect_version(
    socket: &mut Socket,
    watch: &mut DeadlineWatch,
) -> io::Result<Result<Version, Phase>> {
    let mut start = Bytes::new();
    loop {
        let phase = Phase::Head { begun: !start.is_empty() };
        let read = poll_fn(|cx| {
            loop {
                if let Poll::Ready(read) = socket.poll_recv(cx) {
                    return Poll::Ready(read.map(Ok));
                }
                match ready!(watch.poll(cx, phase, 0)) {
                    WatchEvent::Drain => {}
                    WatchEvent::TimedOut(phase) => return Poll::Ready(Ok(Err(phase))),
                }
            }
        });
        let more = match read.await? {
            Ok(Some(more)) => more,
            // hyper handles the end of the stream, also in the middle of a head.
            Ok(None) => {
                socket.unread(start);
                return Ok(Ok(Version::Http1));
            }
            Err(phase) => return Ok(Err(phase)),
        };
        start = if start.is_empty() { more } else { [start, more].concat().into() };
        if let Some(version) = detect(&start) {
            socket.unread(start);
            return Ok(Ok(version));
        }
    }
}

/// Drives hyper on an HTTP/1 connection: one request at a time.
async fn http1<S: HttpService + 'static>(
    settings: &Settings,
    stream: Stream,
    hyper_service: HyperService<S>,
    state: &ConnectionState,
    watch: &mut DeadlineWatch,
) -> Ended {
    let connection = settings.http1().serve_connection(TokioIo::new(stream), hyper_service);
    let mut connection = pin!(connection.with_upgrades());
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ended::Finished(result));
            }
            let (phase, progress) = state.phase();
            match ready!(watch.poll(cx, phase, progress)) {
                // hyper's `graceful_shutdown` would close an idle connection without reading a request that has arrived.
                WatchEvent::Drain => state.begin_drain(),
                WatchEvent::TimedOut(phase) => return Poll::Ready(Ended::TimedOut(phase)),
            }
        }
    })
    .await
}

/// Drives hyper and the tasks of its streams on an HTTP/2 connection.
async fn http2<S: HttpService + 'static>(
    settings: &Settings,
    stream: Stream,
    hyper_service: HyperService<S>,
    state: &ConnectionState,
    watch: &mut DeadlineWatch,
) -> Ended {
    let mut streams = Streams::default();
    let hyper = settings.http2(streams.spawner());
    let mut connection = pin!(hyper.serve_connection(TokioIo::new(stream), hyper_service));
    let mut goaway_sent = watch.is_draining();
    watch.set_drain_limits(DRAIN_LIMITS_H2);
    if goaway_sent {
        connection.as_mut().graceful_shutdown();
    }
    let result = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(Ended::Finished(result));
            }
            // The tasks send through the connection, so it must be polled after them.
            if streams.poll(cx) {
                continue;
            }
            if !goaway_sent && (watch.is_draining() || state.has_failed()) {
                goaway_sent = true;
                state.begin_drain();
                watch.begin_drain();
                connection.as_mut().graceful_shutdown();
                continue;
            }
            let (phase, progress) = match state.phase() {
                (Phase::Idle, progress) if !streams.is_empty() => (Phase::Busy, progress),
                other => other,
            };
            match ready!(watch.poll(cx, phase, progress)) {
                WatchEvent::Drain => {}
                WatchEvent::TimedOut(Phase::Idle) if !goaway_sent => watch.begin_drain(),
                WatchEvent::TimedOut(phase) => return Poll::Ready(Ended::TimedOut(phase)),
            }
        }
    })
    .await;
    match state.take_failure() {
        Some(failure) => Ended::Failed(failure),
        None => result,
    }
}

/// Lingering close, as nginx has it: sends what is buffered, then reads and discards for at most a second.
///
/// [`CLOSE_TIMEOUT`] ends it if the client does not read.
async fn close_lingering(mut socket: Socket) {
    socket.set_write_timeout(CLOSE_TIMEOUT);
    socket.close().await;
}

/// Closes a connection after a phase has expired.
///
/// # Errors
///
/// `TimedOut` if the client had begun something. An idle connection that expires is no error.
async fn close_timed_out(mut socket: Socket, phase: Phase) -> io::Result<()> {
    match phase {
        // The client does not read, so no response would reach it.
        Phase::Stalled => return Err(io::ErrorKind::TimedOut.into()),
        Phase::Head { begun: true } => {
            // The connection is closed whether the response is sent or not.
            let _ = timeout(ERROR_RESPONSE_TIMEOUT, socket.send(REQUEST_TIMEOUT)).await;
        }
        Phase::Head { begun: false } | Phase::Idle | Phase::Busy => {}
    }
    close_lingering(socket).await;
    match phase {
        Phase::Idle | Phase::Head { begun: false } => Ok(()),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}
