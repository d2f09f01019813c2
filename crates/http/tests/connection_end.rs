//! How connections end: panics, resets, timeouts, shutdown.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures::{StreamExt, stream};
use impresario_http::service;
use support::{Server, routes, run, until};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

#[test]
fn a_panic_closes_one_connection_and_is_reported() {
    run(async {
        let server = Server::of_routes().await;
        let (mut victim, mut other) = (server.client().await, server.client().await);
        assert_eq!(other.get("/").await.status(), "200");
        victim.ask("/panic").await;
        victim.closed().await;
        assert_eq!(other.get("/").await.status(), "200");
        assert_eq!(server.client().await.get("/").await.status(), "200");
        until(|| server.active() == 1).await;
        assert_eq!(server.errors.count(), 1);
        server.stop().await;
    });
}

#[test]
fn a_reset_of_the_client_in_any_phase_is_no_failure() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let flood = get(async || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>("flood\n"))));
        let routes = routes(Arc::clone(&begun), Arc::clone(&go)).route("/flood", flood);
        let server = Server::start(service(routes)).await;
        let half = "POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\r\nhalf";
        let chunk = "POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf";
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        // Before the first byte, and inside preface, head and body.
        for sent in ["", "P", "GET / HT", preface, half, chunk] {
            let mut client = server.client().await;
            client.send(sent).await;
            client.reset();
            until(|| server.active() == 0).await;
        }
        // While the connection is idle, while the service runs, and while the response is sent.
        let mut client = server.client().await;
        client.get("/").await;
        client.reset();
        let mut client = server.client().await;
        client.ask("/slow").await;
        begun.notified().await;
        client.reset();
        let mut client = server.client().await;
        client.ask("/flood").await;
        client.0.readable().await.expect("a response begins");
        client.reset();
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_half_close_of_the_client_closes_the_connection() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        // After a response, and while the service runs: most clients that close do not wait for the response.
        let mut client = server.client().await;
        client.get("/").await;
        client.0.shutdown().await.expect("the socket is open");
        assert_eq!(client.rest().await, "");
        let mut client = server.client().await;
        client.ask("/slow").await;
        begun.notified().await;
        client.0.shutdown().await.expect("the socket is open");
        assert_eq!(client.rest().await, "");
        // Before the first byte, and inside a head.
        for sent in ["", "P", "GET / HT"] {
            let mut client = server.client().await;
            client.send(sent).await;
            client.0.shutdown().await.expect("the socket is open");
            client.closed().await;
        }
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn an_incomplete_head_is_answered_by_408_at_the_timeout() {
    run(async {
        let timeout = Duration::from_millis(50);
        let protocol = service(routes(Arc::default(), Arc::default()));
        let server = Server::start(protocol.header_read_timeout(timeout).idle_timeout(timeout)).await;
        let mut silent = server.client().await;
        let mut halfway = server.client().await;
        halfway.send("GET / HTTP/1.1\r\nho").await;
        // A prefix of the HTTP/2 preface.
        let mut hardly = server.client().await;
        hardly.send("P").await;
        let mut later = server.client().await;
        assert_eq!(later.get("/").await.status(), "200");
        later.send("GET / HT").await;
        let mut idle = server.client().await;
        assert_eq!(idle.get("/").await.status(), "200");
        for begun in [&mut halfway, &mut hardly, &mut later] {
            let answer = begun.answer().await;
            assert_eq!((answer.status(), answer.closes()), ("408", true));
            begun.closed().await;
        }
        silent.closed().await;
        idle.closed().await;
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn the_head_timeout_does_not_limit_the_service() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let protocol = service(routes(Arc::clone(&begun), Arc::clone(&go)));
        let server = Server::start(protocol.header_read_timeout(Duration::from_millis(20))).await;
        let mut client = server.client().await;
        client.ask("/slow").await;
        begun.notified().await;
        // The timeouts of other connections measure the time.
        for _ in 0..3 {
            server.client().await.closed().await;
        }
        go.notify_one();
        let answer = client.answer().await;
        assert_eq!((answer.body.as_slice(), answer.closes()), (b"done\n".as_slice(), false));
        server.stop().await;
    });
}

#[test]
fn the_head_timeout_does_not_limit_a_response_body() {
    run(async {
        let go = Arc::new(Notify::new());
        let gone = Arc::clone(&go);
        let stream = get(async move || {
            let rest = stream::once(async move {
                gone.notified().await;
                Ok::<_, Infallible>("rest\n")
            });
            Body::from_stream(stream::iter([Ok("first\n")]).chain(rest))
        });
        let protocol = service(Router::new().route("/", stream));
        let timeout = Duration::from_millis(20);
        let server = Server::start(protocol.header_read_timeout(timeout).idle_timeout(timeout)).await;
        let mut client = server.client().await;
        client.ask("/").await;
        assert!(client.answer().await.head.contains("chunked"));
        client.expect("6\r\nfirst\n\r\n").await;
        // The timeouts of other connections measure the time.
        for _ in 0..3 {
            server.client().await.closed().await;
        }
        go.notify_one();
        client.expect("5\r\nrest\n\r\n0\r\n\r\n").await;
        // The response is complete, so the idle timeout applies.
        client.closed().await;
        server.stop().await;
    });
}

#[test]
fn a_shutdown_answers_requests_in_flight_and_closes_the_rest() {
    run(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        let mut silent = server.client().await;
        let mut idle = server.client().await;
        assert_eq!(idle.get("/").await.status(), "200");
        let mut busy = server.client().await;
        busy.ask("/slow").await;
        begun.notified().await;
        until(|| server.active() == 3).await;

        server.tree.stop();
        silent.closed().await;
        idle.closed().await;
        assert_eq!(server.active(), 1);
        go.notify_one();
        let answer = busy.answer().await;
        assert_eq!(answer.body, b"done\n");
        assert!(answer.closes(), "{}", answer.head);
        busy.closed().await;
        server.tree.stopped().await;
        assert_eq!(server.errors.count(), 0);
    });
}
