//! Upgraded connections: WebSocket and a raw protocol.

mod support;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::{any, get};
use axum::{Extension, Router, body::Body};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use impresario_http::{ConnectionInfo, service};
use impresario_server::{Draining, Listener, Transport};
use support::{Client, Server, passing, run, run_paused, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

// ANCHOR: chat
async fn web_socket(upgrade: WebSocketUpgrade, Extension(info): Extension<ConnectionInfo>) -> Response {
    upgrade.on_upgrade(move |socket| chat(socket, info.draining()))
}

/// Echoes text, and sends a close frame when the listener drains.
async fn chat(mut socket: WebSocket, mut draining: Draining) {
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => drop(socket.send(Message::Text(text)).await),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            () = &mut draining => {
                let bye = CloseFrame { code: 1001, reason: "going away".into() };
                drop(socket.send(Message::Close(Some(bye))).await);
                return;
            }
        }
    }
}
// ANCHOR_END: chat

async fn broken_web_socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        let message = socket.recv().await;
        panic!("panic on request, by {message:?}")
    })
}

/// Echoes bytes until the end of the stream, and ignores the drain. Notifies `over` then.
async fn raw(mut request: Request<Body>, over: Arc<Notify>) -> Response {
    let upgrade = hyper::upgrade::on(&mut request);
    actix_rt::spawn(async move {
        let upgraded: Upgraded = upgrade.await.expect("the upgrade succeeds");
        let (mut reading, mut writing) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reading, &mut writing).await;
        over.notify_one();
    });
    let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let switch = switch.header("connection", "upgrade").header("upgrade", "echo");
    switch.body(Body::empty()).expect("a valid response")
}

fn routes(over: &Arc<Notify>) -> Router {
    let over = Arc::clone(over);
    Router::new()
        .route("/ws", any(web_socket))
        .route("/broken", any(broken_web_socket))
        .route("/raw", get(move |request: Request<Body>| raw(request, Arc::clone(&over))))
        .route("/peer", get(async |Extension(info): Extension<ConnectionInfo>| info.peer_addr().to_string()))
}

const HANDSHAKE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn web_socket_client<P: impresario_server::Protocol>(server: &Server<P>, path: &str) -> Client {
    let mut client = server.client().await;
    client.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n{HANDSHAKE}\r\n")).await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), "101");
    assert!(answer.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{}", answer.head);
    client
}

/// A text frame with a mask of zeros.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("the length fits") | 0x80;
    [&[0x81, length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Reads exactly these bytes.
async fn frame(client: &mut Client, frame: &[u8]) {
    let mut bytes = vec![0; frame.len()];
    client.0.read_exact(&mut bytes).await.expect("the server answers");
    assert_eq!(bytes.escape_ascii().to_string(), frame.escape_ascii().to_string());
}

async fn raw_client<P: impresario_server::Protocol>(server: &Server<P>) -> Client {
    let mut client = server.client().await;
    // Bytes after the head belong to the new protocol.
    client.send("GET /raw HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nearly").await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), "101");
    assert!(!answer.closes());
    client.expect("early").await;
    client
}

#[test]
fn a_web_socket_echoes_counts_and_drains() {
    run(async {
        let server = Server::start(service(routes(&Arc::default()))).await;
        let mut client = web_socket_client(&server, "/ws").await;
        client.send(text("hello")).await;
        frame(&mut client, b"\x81\x05hello").await;
        assert_eq!(server.active(), 1);
        server.tree.stop();
        frame(&mut client, b"\x88\x0c\x03\xe9going away").await;
        client.closed().await;
        server.tree.stopped().await;
        assert_eq!(server.errors.count(), 0);
    });
}

#[test]
fn a_panic_after_the_upgrade_closes_the_connection() {
    run(async {
        let server = Server::start(service(routes(&Arc::default()))).await;
        let mut client = web_socket_client(&server, "/broken").await;
        client.send(text("panic")).await;
        client.closed().await;
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn a_web_socket_over_http_2_is_not_closed_as_idle() {
    run_paused(async {
        let server = Server::start(service(routes(&Arc::default()))).await;
        let stream = server.client().await.0;
        let (mut send, connection) = h2::client::handshake(stream).await.expect("the server accepts HTTP/2");
        let connection = actix_rt::spawn(connection);
        while !send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        let connect = Request::connect("http://test/ws").header("sec-websocket-version", "13");
        let mut connect = connect.body(()).expect("a valid request");
        connect.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let (response, mut sending) =
            send.send_request(connect, false).expect("the stream limit is not reached");
        let mut body = response.await.expect("the server answers").into_body();
        // Longer than the idle timeout, in steps, so that the client can acknowledge pings.
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(10)).await;
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        }
        sending.send_data(text("hello").into(), false).expect("the stream is open");
        let echo = body.data().await.expect("a frame").expect("no reset");
        assert_eq!(echo, b"\x81\x05hello".as_slice());
        server.tree.stop();
        let bye = body.data().await.expect("a frame").expect("no reset");
        assert_eq!(bye, b"\x88\x0c\x03\xe9going away".as_slice());
        drop((send, sending, body));
        connection.await.expect("no panic").expect("the connection ends without an error");
        server.tree.stopped().await;
        assert_eq!(server.errors.count(), 0);
    });
}

#[test]
fn an_upgraded_connection_echoes_and_closes() {
    run(async {
        let over = Arc::new(Notify::new());
        let server = Server::start(service(routes(&over))).await;
        let mut client = raw_client(&server).await;
        client.send("hello").await;
        client.expect("hello").await;
        assert_eq!(server.active(), 1);
        client.0.shutdown().await.expect("the socket is open");
        over.notified().await;
        assert_eq!(client.rest().await, "");
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn an_upgraded_connection_is_closed_at_the_drain_deadline() {
    run(async {
        let over = Arc::new(Notify::new());
        let listener = Listener::tcp("127.0.0.1:0", service(routes(&over)));
        let server = Server::of(listener.drain_deadline(Duration::from_millis(50))).await;
        let mut client = raw_client(&server).await;
        server.tree.stop();
        server.tree.stopped().await;
        // The pending read is woken and fails.
        over.notified().await;
        client.closed().await;
        assert_eq!(server.active(), 0);
    });
}

/// Waits until a raw connection is closed without a drain. Returns the time on the paused clock.
async fn time_until_closed<P: impresario_server::Protocol>(server: &Server<P>, over: &Notify) -> Duration {
    let ((), time) = passing(over.notified()).await;
    passing(until(|| server.active() == 0)).await;
    assert_eq!(server.errors.count(), 0);
    time
}

#[test]
fn the_write_timeout_applies_after_an_upgrade() {
    run_paused(async {
        let over = Arc::new(Notify::new());
        let server = Server::start(service(routes(&over)).write_timeout(Duration::from_secs(7))).await;
        let mut client = raw_client(&server).await;
        // The client writes and never reads, so the echo fills the kernel's buffers of both directions.
        let flood = async { while client.0.write_all(&[b'x'; 65_536]).await.is_ok() {} };
        let (time, ()) = tokio::join!(time_until_closed(&server, &over), flood);
        assert!(time >= Duration::from_secs(7), "{time:?}");
        server.stop().await;
    });
}

#[test]
fn only_the_transport_limits_reads_after_an_upgrade() {
    run_paused(async {
        let over = Arc::new(Notify::new());
        let transport = Transport::new().read_timeout(Duration::from_secs(200));
        let server = Server::start(transport.wrap(service(routes(&over)))).await;
        let client = raw_client(&server).await;
        assert!(time_until_closed(&server, &over).await >= Duration::from_secs(200));
        drop(client);
        server.stop().await;

        let server = Server::start(service(routes(&over))).await;
        let mut client = raw_client(&server).await;
        tokio::time::advance(Duration::from_secs(80_000)).await;
        client.send("hello").await;
        client.expect("hello").await;
        drop(client);
        over.notified().await;
        server.stop().await;
    });
}

#[test]
fn a_reset_closes_an_upgraded_connection() {
    run(async {
        let over = Arc::new(Notify::new());
        let server = Server::start(service(routes(&over))).await;
        raw_client(&server).await.reset();
        over.notified().await;
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn an_upgrade_without_a_task_closes_the_connection() {
    run(async {
        let switch = get(async || {
            let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            switch
                .header("connection", "upgrade")
                .header("upgrade", "x")
                .body(Body::empty())
                .expect("a valid response")
        });
        let server = Server::start(service(Router::new().route("/", switch))).await;
        let mut client = server.client().await;
        client.send("GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status(), "101");
        assert_eq!(client.rest().await, "");
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn connection_info_is_inserted_if_configured() {
    run(async {
        for (wanted, status) in [(true, "200"), (false, "500")] {
            let server = Server::start(service(routes(&Arc::default())).connection_info(wanted)).await;
            let mut client = server.client().await;
            let answer = client.get("/peer").await;
            assert_eq!(answer.status(), status);
            if wanted {
                let own = client.0.local_addr().expect("the client is connected").to_string();
                assert_eq!(String::from_utf8_lossy(&answer.body), own);
            }
            server.stop().await;
        }
    });
}
