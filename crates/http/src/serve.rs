//! One connection from beginning to end.

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

use crate::HttpService;
use crate::error::blame;
use crate::exchange::Exchange;
use crate::frames::Frames;
use crate::info::ConnectionInfo;
use crate::pace::Phase;
use crate::preface::{Version, version};
use crate::settings::{LAST, LAST_SHARED, Settings};
use crate::stream::{Leash, Stream, UpgradeLimits};
use crate::streams::Streams;
use crate::talk::{Talk, Terms};
use crate::watch::{Notice, Watch};

/// What a client is told whose head does not end.
const REQUEST_TIMEOUT: &str =
    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
/// How long it may take to say so.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// How long the rest of what was said may take to leave, when nothing watches the connection any more.
const CLOSE_TIME: Duration = Duration::from_secs(30);

/// How a conversation ended.
#[derive(Debug)]
enum End {
    /// hyper says so. The socket may be in other hands.
    Said(hyper::Result<()>),
    /// This has lasted too long.
    Late(Phase),
    /// It was ended because of a failure of ours that was not told yet.
    Failed(String),
}

/// Serves one connection.
pub(crate) async fn serve<S: HttpService + 'static>(
    mut socket: Socket,
    service: S,
    settings: Settings,
) -> io::Result<()> {
    // The limits of HTTP are counted here, by what is waited for. After an upgrade nobody counts.
    let upgrade_limits = UpgradeLimits { read: socket.read_timeout(), write: settings.limits.write };
    socket.set_read_timeout(None);
    socket.set_write_timeout(None);
    let mut watch = Watch::new(settings.limits, LAST, socket.draining());
    let version = match settings.http2 {
        true => match recognize(&mut socket, &mut watch).await? {
            Ok(version) => version,
            Err(phase) => return late(socket, phase).await,
        },
        false => Version::One,
    };
    let terms = Terms {
        bodies: settings.bodies,
        info: ConnectionInfo::new(&socket),
        info_for_all: settings.info_for_all,
        shared: version == Version::Two,
    };
    let (stream, sight, mut home) = Stream::new(socket, (version == Version::Two).then(Frames::default));
    let talk = Rc::new(Talk::new(Arc::clone(&sight), terms));
    if watch.is_leaving() {
        talk.leave();
    }
    let exchange = Exchange::new(service, Rc::clone(&talk));
    let end = match version {
        Version::One => http1(&settings, stream, exchange, &talk, &mut watch).await,
        // Large, and rarely there.
        Version::Two => Box::pin(http2(&settings, stream, exchange, &talk, &mut watch)).await,
    };
    drop(talk);
    let socket = match home.try_recv() {
        Ok(socket) => socket,
        Err(oneshot::error::TryRecvError::Closed) => return Ok(()),
        Err(oneshot::error::TryRecvError::Empty) => {
            // It was upgraded. It counts, and its actor lives, until whoever has it lets go of it.
            sight.hand_over(upgrade_limits);
            let _leash = Leash(sight);
            let Ok(socket) = home.await else { return Ok(()) };
            socket
        }
    };
    match end {
        End::Late(phase) => late(socket, phase).await,
        End::Said(result) => {
            // hyper has said its last word. The client may still be at it, with a head that was too long, say.
            part(socket).await;
            result.map_err(blame)
        }
        End::Failed(failure) => {
            part(socket).await;
            Err(io::Error::other(failure))
        }
    }
}

/// Reads until it is clear which version the client speaks, or that it takes too long for that. What was read is read
/// again.
async fn recognize(socket: &mut Socket, watch: &mut Watch) -> io::Result<Result<Version, Phase>> {
    let mut start = Bytes::new();
    loop {
        let phase = Phase::Head { begun: !start.is_empty() };
        let read = poll_fn(|cx| {
            loop {
                if let Poll::Ready(read) = socket.poll_recv(cx) {
                    return Poll::Ready(read.map(Ok));
                }
                match ready!(watch.poll(cx, phase, 0)) {
                    Notice::Leave => {}
                    Notice::Late(phase) => return Poll::Ready(Ok(Err(phase))),
                }
            }
        });
        let more = match read.await? {
            Ok(Some(more)) => more,
            // hyper knows what to say of what is only the beginning of a request.
            Ok(None) => {
                socket.unread(start);
                return Ok(Ok(Version::One));
            }
            Err(phase) => return Ok(Err(phase)),
        };
        start = if start.is_empty() { more } else { [start, more].concat().into() };
        if let Some(version) = version(&start) {
            socket.unread(start);
            return Ok(Ok(version));
        }
    }
}

/// Has hyper answer the requests of a connection one after the other.
async fn http1<S: HttpService + 'static>(
    settings: &Settings,
    stream: Stream,
    exchange: Exchange<S>,
    talk: &Talk,
    watch: &mut Watch,
) -> End {
    let connection = settings.http1().serve_connection(TokioIo::new(stream), exchange);
    let mut connection = pin!(connection.with_upgrades());
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Said(result));
            }
            let (phase, mark) = talk.phase();
            match ready!(watch.poll(cx, phase, mark)) {
                // hyper's own way to leave would close an idle connection without a look at what was sent already.
                Notice::Leave => talk.leave(),
                Notice::Late(phase) => return Poll::Ready(End::Late(phase)),
            }
        }
    })
    .await
}

/// Has hyper answer all the requests of a connection that come at the same time.
async fn http2<S: HttpService + 'static>(
    settings: &Settings,
    stream: Stream,
    exchange: Exchange<S>,
    talk: &Talk,
    watch: &mut Watch,
) -> End {
    let mut streams = Streams::default();
    let hyper = settings.http2(streams.spawner());
    let mut connection = pin!(hyper.serve_connection(TokioIo::new(stream), exchange));
    let mut goes_away = watch.is_leaving();
    watch.set_last(LAST_SHARED);
    if goes_away {
        connection.as_mut().graceful_shutdown();
    }
    let result = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Said(result));
            }
            // What they have to say goes through the connection.
            if streams.poll(cx) {
                continue;
            }
            if !goes_away && (watch.is_leaving() || talk.has_failed()) {
                goes_away = true;
                talk.leave();
                watch.leave();
                connection.as_mut().graceful_shutdown();
                continue;
            }
            let (phase, mark) = match talk.phase() {
                (Phase::Idle, mark) if !streams.is_empty() => (Phase::Busy, mark),
                other => other,
            };
            match ready!(watch.poll(cx, phase, mark)) {
                Notice::Leave => {}
                Notice::Late(Phase::Idle) if !goes_away => watch.leave(),
                Notice::Late(phase) => return Poll::Ready(End::Late(phase)),
            }
        }
    })
    .await;
    match talk.take_failure() {
        Some(failure) => End::Failed(failure),
        None => result,
    }
}

/// Closes a connection, also to a client that does not read.
async fn part(mut socket: Socket) {
    socket.set_write_timeout(CLOSE_TIME);
    socket.close().await;
}

/// Ends a connection that took too long.
async fn late(mut socket: Socket, phase: Phase) -> io::Result<()> {
    match phase {
        // It does not read, so there is nothing to say to it.
        Phase::Stalled => return Err(io::ErrorKind::TimedOut.into()),
        Phase::Head { begun: true } => {
            // Whether it arrives or not, the connection is over.
            let _ = timeout(REFUSAL_TIME, socket.send(REQUEST_TIMEOUT)).await;
        }
        Phase::Head { begun: false } | Phase::Idle | Phase::Busy => {}
    }
    part(socket).await;
    match phase {
        Phase::Idle | Phase::Head { begun: false } => Ok(()),
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}
