//! HTTP/2 without ALPN: clients begin with the preface.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use impresario_http::service;
use impresario_server::Listener;
use support::{Server, passing, routes, run, run_paused, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// A client, and the result of its connection.
struct Client {
    send: SendRequest<Bytes>,
    end: oneshot::Receiver<Result<(), h2::Error>>,
}

impl Client {
    async fn connect<P: impresario_server::Protocol>(server: &Server<P>) -> Self {
        let stream = server.client().await.0;
        let (send, connection) = h2::client::handshake(stream).await.expect("the server accepts HTTP/2");
        let (sender, end) = oneshot::channel();
        actix_rt::spawn(async move {
            // An error means that the test does not read the result.
            let _ = sender.send(connection.await);
        });
        Self { send, end }
    }

    fn begin(&mut self, path: &str) -> h2::client::ResponseFuture {
        let request = Request::get(format!("http://test{path}")).body(()).expect("a valid request");
        self.send.send_request(request, true).expect("the stream limit is not reached").0
    }

    async fn get(&mut self, path: &str) -> (StatusCode, Vec<u8>) {
        self.ready().await;
        whole(self.begin(path)).await.expect("the server answers")
    }

    async fn ready(&mut self) {
        self.send = self.send.clone().ready().await.expect("the connection is open");
    }

    /// The result of the connection when no request follows.
    async fn end(self) -> Result<(), h2::Error> {
        drop(self.send);
        self.end.await.expect("the connection task has finished")
    }
}

async fn whole(response: h2::client::ResponseFuture) -> Result<(StatusCode, Vec<u8>), h2::Error> {
    let response = response.await?;
    let status = response.status();
    Ok((status, drain(response.into_body()).await?))
}

async fn drain(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend(data);
    }
    Ok(all)
}

#[test]
fn streams_are_answered_concurrently() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        let mut client = Client::connect(&server).await;
        let slow = client.begin("/slow");
        begun.notified().await;
        assert_eq!(client.get("/").await, (StatusCode::OK, b"hello\n".to_vec()));
        assert_eq!(client.get("/nowhere").await.0, StatusCode::NOT_FOUND);
        assert_eq!(server.active(), 1);
        go.notify_one();
        assert_eq!(whole(slow).await.expect("the server answers").1, b"done\n");
        drop(client);
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_large_body_is_streamed_in_both_directions() {
    run(async {
        let server = Server::of_routes().await;
        let mut client = Client::connect(&server).await;
        let request = Request::post("http://test/echo").body(()).expect("a valid request");
        let (response, mut sending) =
            client.send.send_request(request, false).expect("the stream limit is not reached");
        let sent: Vec<u8> = (0..4_000_000_u32).map(|i| (i % 251) as u8).collect();
        let write = async {
            for piece in sent.chunks(50_000) {
                sending.reserve_capacity(piece.len());
                let mut rest = Bytes::copy_from_slice(piece);
                while !rest.is_empty() {
                    let room = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await;
                    let room = room.expect("the stream is open").expect("no reset").min(rest.len());
                    sending.send_data(rest.split_to(room), false).expect("the stream is open");
                }
            }
            sending.send_data(Bytes::new(), true).expect("the stream is open");
        };
        let (answer, ()) = tokio::join!(whole(response), write);
        let (status, body) = answer.expect("the server answers");
        assert_eq!(status, StatusCode::OK);
        assert!(body == sent, "{} of {} bytes came back, or others", body.len(), sent.len());
        server.stop().await;
    });
}

#[test]
fn a_drain_completes_open_streams_and_refuses_new_ones() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        let mut idle = Client::connect(&server).await;
        assert_eq!(idle.get("/").await.0, StatusCode::OK);
        let mut client = Client::connect(&server).await;
        let slow = client.begin("/slow");
        begun.notified().await;
        server.tree.stop();
        idle.end().await.expect("the connection ends without an error");
        until(|| server.active() == 1).await;
        // The client receives the GOAWAY.
        while client.send.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        assert_eq!(whole(slow).await.expect("the server answers").1, b"done\n");
        client.end().await.expect("the connection ends without an error");
        server.tree.stopped().await;
        assert_eq!(server.errors.count(), 0);
    });
}

#[test]
fn a_drain_waits_for_a_response_while_the_client_reads() {
    run_paused(async {
        let large = get(async || vec![b'x'; 1 << 20]);
        let listener = Listener::tcp("127.0.0.1:0", service(Router::new().route("/", large)));
        let server = Server::of(listener.drain_deadline(None)).await;
        let mut client = Client::connect(&server).await;
        let mut body = client.begin("/").await.expect("the server answers").into_body();
        server.tree.stop();
        let mut received = 0;
        while let Some(data) = body.data().await {
            let data = data.expect("the body continues");
            received += data.len();
            // Each step is shorter than the drain limit, their sum is longer.
            tokio::time::advance(Duration::from_millis(200)).await;
            body.flow_control().release_capacity(data.len()).expect("the capacity was used");
        }
        assert_eq!(received, 1 << 20);
        client.end().await.expect("the connection ends without an error");
        server.tree.stopped().await;
    });
}

#[test]
fn a_panic_resets_its_stream_and_is_reported_at_the_end() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let broken = get(async || {
            Body::from_stream(
                stream::iter([Ok::<_, Infallible>("first\n")])
                    .chain(stream::poll_fn(|_| panic!("panic in a body"))),
            )
        });
        let routes = routes(Arc::clone(&begun), Arc::clone(&go)).route("/broken", broken);
        let server = Server::start(service(routes)).await;
        for (path, text) in [("/panic", "panic on request"), ("/broken", "panic in a body")] {
            let before = server.errors.count();
            let mut client = Client::connect(&server).await;
            let slow = client.begin("/slow");
            begun.notified().await;
            client.ready().await;
            let lost = whole(client.begin(path)).await.expect_err("its stream is reset");
            assert_eq!(lost.reason(), Some(Reason::INTERNAL_ERROR));
            assert_eq!(server.errors.count(), before);
            go.notify_one();
            assert_eq!(whole(slow).await.expect("the server answers").1, b"done\n");
            client.end().await.expect("the connection ends without an error");
            until(|| server.errors.count() == before + 1).await;
            let report = server.errors.all().pop().expect("one error was logged");
            assert!(report.contains(text) && report.contains(".rs:"), "{report}");
        }
        server.stop().await;
    });
}

#[test]
fn a_body_above_the_limit_is_answered_by_413() {
    run(async {
        let all = post(async |body: Bytes| body.len().to_string());
        let server = Server::start(service(Router::new().route("/", all)).max_body_bytes(10)).await;
        let mut client = Client::connect(&server).await;
        for (length, body, status) in [
            (Some("10"), "0123456789", StatusCode::OK),
            (Some("11"), "0123456789x", StatusCode::PAYLOAD_TOO_LARGE),
            (None, "0123456789x", StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            let mut request = Request::post("http://test/");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            client.ready().await;
            let request = request.body(()).expect("a valid request");
            let (response, mut sending) =
                client.send.send_request(request, false).expect("the stream limit is not reached");
            // An error means that the server has answered already.
            let _ = sending.send_data(Bytes::from(body), true);
            assert_eq!(whole(response).await.expect("the server answers").0, status, "{length:?}");
        }
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_head_above_the_limit_is_answered_by_431() {
    run(async {
        let protocol = service(routes(Arc::default(), Arc::default())).max_header_bytes(1_000);
        let server = Server::start(protocol).await;
        let mut client = Client::connect(&server).await;
        let request = Request::get("http://test/").header("long", "x".repeat(1_000)).body(());
        let sent = client
            .send
            .send_request(request.expect("a valid request"), true)
            .expect("the stream limit is not reached");
        assert_eq!(
            whole(sent.0).await.expect("the server answers").0,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        );
        assert_eq!(client.get("/").await.0, StatusCode::OK);
        server.stop().await;
    });
}

#[test]
fn streams_above_the_limit_are_refused() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let protocol = service(routes(Arc::clone(&begun), Arc::clone(&go))).max_concurrent_streams(1);
        let server = Server::start(protocol).await;
        // This client sends before it has received the limit.
        let mut client = Client::connect(&server).await;
        let (one, two) = (client.begin("/slow"), client.begin("/slow"));
        begun.notified().await;
        let refused = whole(two).await.expect_err("one at a time");
        assert_eq!(refused.reason(), Some(Reason::REFUSED_STREAM));
        go.notify_one();
        assert_eq!(whole(one).await.expect("the server answers").1, b"done\n");
        server.stop().await;
    });
}

/// An HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("the length fits").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

#[test]
fn an_end_of_stream_inside_a_frame_is_no_failure() {
    run(async {
        let server = Server::of_routes().await;
        let whole = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frame(SETTINGS, 0, 0, &[])].concat();
        let half = frame(HEADERS, END_HEADERS, 1, &[0x82, 0x84, 0x86]);
        for length in 1..half.len() {
            let mut client = server.client().await;
            client.send([&whole, &half[..length]].concat()).await;
            client.0.shutdown().await.expect("the socket is open");
            until(|| server.active() == 0).await;
        }
        assert_eq!(server.errors.all(), Vec::<String>::new());
        server.stop().await;
    });
}

#[test]
fn rapid_resets_are_answered_by_enhance_your_calm() {
    run(async {
        let server = Server::of_routes().await;
        let mut client = server.client().await;
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(SETTINGS, 0, 0, &[]));
        for stream in (1..200).step_by(2) {
            // GET http://a/
            sent.extend(frame(HEADERS, END_HEADERS, stream, b"\x82\x86\x84\x41\x01a"));
            sent.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        client.send(sent).await;
        let mut received = Vec::new();
        // The connection may end by a reset.
        let _ = client.0.read_to_end(&mut received).await;
        let mut reasons = Vec::new();
        while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = received.as_slice() {
            let (payload, rest) = rest.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
            if *kind == GOAWAY {
                reasons.push(Reason::from(u32::from_be_bytes(payload[4..8].try_into().expect("4 bytes"))));
            }
            received = rest.to_vec();
        }
        assert_eq!(reasons, [Reason::ENHANCE_YOUR_CALM]);
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn an_idle_connection_is_closed_at_the_idle_timeout() {
    run_paused(async {
        let server = Server::of_routes().await;
        let mut client = Client::connect(&server).await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.0, StatusCode::OK);
            tokio::time::advance(Duration::from_secs(19)).await;
        }
        assert_eq!(client.get("/").await.0, StatusCode::OK);
        // The client keeps it open.
        let kept = client.send.clone();
        let began = Instant::now();
        let mut end = client.end;
        // In steps, so that the client can acknowledge pings.
        let end = loop {
            tokio::time::advance(Duration::from_secs(10)).await;
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            if let Ok(end) = end.try_recv() {
                break end;
            }
        };
        drop((kept, end));
        assert!(began.elapsed() >= Duration::from_secs(60), "{:?}", began.elapsed());
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_client_without_ping_acknowledgements_is_closed() {
    run_paused(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        let stream = server.client().await.0;
        let (mut send, mut connection) =
            h2::client::handshake(stream).await.expect("the server accepts HTTP/2");
        let request = Request::get("http://test/slow").body(()).expect("a valid request");
        let _response = h2_send(&mut send, request);
        // Polled until the request has arrived, and not again, so pings are not acknowledged.
        tokio::select! {
            _ = &mut connection => panic!("the connection has ended"),
            () = begun.notified() => {}
        }
        let ((), time) = passing(until(|| server.active() == 0)).await;
        assert!(time >= Duration::from_secs(20), "{time:?}");
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

/// Size of the response of `/big`, in bytes.
const BIG: usize = 1_000_000;

fn big() -> Router {
    Router::new().route("/big", get(async || vec![b'x'; BIG]))
}

/// Advances the clock, then lets both sides send what is pending, such as ping acknowledgements.
async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn ping_acknowledgements_do_not_restart_the_write_timeout() {
    run_paused(async {
        let server = Server::start(service(big()).write_timeout(Duration::from_secs(25))).await;
        let mut client = Client::connect(&server).await;
        let bodies = [client.begin("/big"), client.begin("/big")].map(|answer| async {
            // The windows are filled and no capacity is released.
            answer.await.expect("the server answers").into_body()
        });
        let _bodies = futures::future::join_all(bodies).await;
        let began = Instant::now();
        while server.active() > 0 {
            pass(5).await;
        }
        let time = began.elapsed();
        // Below 40 s, so it is not the ping timeout.
        assert!((25..40).contains(&time.as_secs()), "{time:?}");
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn pings_of_the_client_do_not_restart_any_timeout() {
    /// Write timeout and idle timeout.
    const SECONDS: u64 = 25;
    for asks in [true, false] {
        run_paused(async {
            let limit = Duration::from_secs(SECONDS);
            let protocol = service(big()).write_timeout(limit).idle_timeout(limit);
            let server = Server::start(protocol).await;
            let (receiving, mut client) = server.client().await.0.into_split();
            let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            hello.extend(frame(SETTINGS, 0, 0, &[]));
            if asks {
                // GET http://a/big, which is larger than the windows.
                hello.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x44\x04/big\x41\x01a"));
            }
            client.write_all(&hello).await.expect("the server reads");
            until(|| server.active() == 1).await;
            let mut bytes = vec![0; 100_000];
            let began = Instant::now();
            while server.active() > 0 && began.elapsed() < 4 * limit {
                // Their acknowledgements have more than 1 KiB, and the client reads them.
                let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
                // An error means that the server has closed already.
                let _ = client.write_all(&pings).await;
                pass(2).await;
                let _ = receiving.try_read(&mut bytes);
            }
            let time = began.elapsed().as_secs();
            // Below 40 s, so it is not the ping timeout.
            assert!((SECONDS..40).contains(&time), "{time} s, asks: {asks}");
            server.stop().await;
        });
    }
}

#[test]
fn a_slow_reader_restarts_the_write_timeout() {
    run_paused(async {
        let server = Server::start(service(big()).write_timeout(Duration::from_secs(25))).await;
        let mut client = Client::connect(&server).await;
        let mut body = client.begin("/big").await.expect("the server answers").into_body();
        let (mut taken, began) = (0, Instant::now());
        while let Some(data) = body.data().await {
            let data = data.expect("the connection is open");
            body.flow_control().release_capacity(data.len()).expect("the capacity was used");
            taken += data.len();
            pass(2).await;
        }
        assert_eq!(taken, BIG);
        assert!(began.elapsed() > Duration::from_secs(25));
        drop((client, body));
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

fn h2_send(send: &mut SendRequest<Bytes>, request: Request<()>) -> h2::client::ResponseFuture {
    send.send_request(request, true).expect("the stream limit is not reached").0
}

#[test]
fn http2_can_be_disabled() {
    run(async {
        let protocol = service(routes(Arc::default(), Arc::default())).http2(false);
        assert_eq!(protocol.alpn_protocols(), [b"http/1.1"]);
        let server = Server::start(protocol).await;
        let mut client = server.client().await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(!client.rest().await.starts_with("HTTP/1.1 200"));
        assert_eq!(server.client().await.get("/").await.status(), "200");
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}
