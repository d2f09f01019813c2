//! The limits of HTTP, and the responses when they are exceeded.

mod support;

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use impresario_http::{BodyTimeout, service};
use support::{Server, passing, routes, run, run_paused, until};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::time::Instant;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// `/all` collects the body. `/lenient` returns the length of the body or its error.
fn uploads(seen: &Arc<AtomicUsize>) -> Router {
    let seen = Arc::clone(seen);
    let all = async move |body: Bytes| {
        seen.fetch_add(1, Ordering::Relaxed);
        body.len().to_string()
    };
    let lenient = async |body: Body| match to_bytes(body, usize::MAX).await {
        Ok(bytes) => bytes.len().to_string(),
        Err(error) => {
            let causes = successors(error.source(), |&cause| cause.source());
            let slow = { causes }.any(|cause| cause.is::<BodyTimeout>());
            if slow { "too slow".to_owned() } else { "too long".to_owned() }
        }
    };
    Router::new().route("/all", post(all)).route("/lenient", post(lenient))
}

#[test]
fn an_announced_body_above_the_limit_is_answered_by_413() {
    run(async {
        let seen = Arc::default();
        let server = Server::start(service(uploads(&seen)).max_body_bytes(10)).await;
        let mut client = server.client().await;
        client.post("/all", "content-length: 10\r\n", "0123456789").await;
        assert_eq!(client.answer().await.body, b"10");
        // Without a `100 Continue`.
        client.post("/all", "content-length: 11\r\nexpect: 100-continue\r\n", "").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.closes()), ("413", true));
        assert_eq!(client.rest().await, "");
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_chunked_body_above_the_limit_is_answered_by_413() {
    run(async {
        let seen = Arc::default();
        let server = Server::start(service(uploads(&seen)).max_body_bytes(10)).await;
        let chunked = "transfer-encoding: chunked\r\n";
        let mut client = server.client().await;
        client.post("/all", chunked, "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n").await;
        assert_eq!(client.answer().await.body, b"10");
        client.post("/all", chunked, "6\r\n012345\r\n5\r\n6789x\r\n0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.closes()), ("413", true));
        // A service that handles the error determines the status.
        let mut client = server.client().await;
        client.post("/lenient", chunked, "b\r\n0123456789x\r\n0\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.body.as_slice()), ("200", b"too long".as_slice()));
        assert!(answer.closes());
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_stalled_request_body_is_answered_by_408() {
    run_paused(async {
        let server = Server::start(service(uploads(&Arc::default()))).await;
        for (path, status, body) in [("/all", "408", ""), ("/lenient", "200", "too slow")] {
            let mut client = server.client().await;
            client.post(path, "content-length: 10\r\n", "01234").await;
            let (answer, time) = passing(client.answer()).await;
            assert_eq!((answer.status(), answer.closes()), (status, true));
            assert_eq!(answer.body, body.as_bytes());
            assert!(time >= seconds(60), "{time:?}");
            assert_eq!(client.rest().await, "");
        }
        assert_eq!(server.errors.count(), 0);
        server.tree.stop();
        passing(server.tree.stopped()).await;
    });
}

#[test]
fn a_slow_request_body_restarts_the_read_timeout() {
    run_paused(async {
        let pieces = Arc::new(Notify::new());
        let seen = Arc::clone(&pieces);
        let count = post(move |body: Body| async move {
            let mut body = body.into_data_stream();
            let mut length = 0;
            while let Some(piece) = body.next().await {
                length += piece.map_or(0, |piece| piece.len());
                seen.notify_one();
            }
            length.to_string()
        });
        let server = Server::start(service(Router::new().route("/", count))).await;
        let mut client = server.client().await;
        client.post("/", "content-length: 4\r\n", "").await;
        for byte in ["1", "2", "3", "4"] {
            client.send(byte).await;
            pieces.notified().await;
            tokio::time::advance(seconds(59)).await;
        }
        assert_eq!(client.answer().await.body, b"4");
        drop(client);
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn single_bytes_do_not_restart_the_head_timeout() {
    run_paused(async {
        let server = Server::of_routes().await;
        for first in [false, true] {
            let mut client = server.client().await;
            if !first {
                assert_eq!(client.get("/").await.status(), "200");
            }
            let began = Instant::now();
            let mut answer = vec![0; 10_000];
            for byte in "GET / HTTP/1.1\r\nlong: ".bytes().chain(std::iter::repeat(b'x')) {
                // An error means that the server has closed already.
                let _ = client.0.try_write(&[byte]);
                tokio::time::advance(seconds(1)).await;
                tokio::task::yield_now().await;
                if let Ok(length) = client.0.try_read(&mut answer) {
                    answer.truncate(length);
                    break;
                }
            }
            assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", answer.escape_ascii());
            assert!(began.elapsed() >= seconds(29), "{:?}", began.elapsed());
        }
        assert_eq!(server.errors.count(), 0);
        server.tree.stop();
        passing(server.tree.stopped()).await;
    });
}

#[test]
fn an_idle_connection_has_the_idle_timeout() {
    run_paused(async {
        let server = Server::of_routes().await;
        let mut client = server.client().await;
        let ((), time) = passing(client.closed()).await;
        assert!(time >= seconds(30), "{time:?}");
        let mut client = server.client().await;
        for _ in 0..3 {
            assert_eq!(client.get("/").await.status(), "200");
            tokio::time::advance(seconds(59)).await;
        }
        // Unread bytes of a request body do not count as the next head.
        client.post("/echo", "content-length: 4\r\n", "").await;
        client.0.readable().await.expect("a response begins");
        client.send("body").await;
        assert_eq!(client.answer().await.body, b"body");
        let ((), time) = passing(client.closed()).await;
        assert!(time >= seconds(60), "{time:?}");
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn the_write_timeout_closes_a_client_that_reads_nothing() {
    run_paused(async {
        let flood =
            || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 65_536]))) };
        let server = Server::start(service(Router::new().route("/", get(flood)))).await;
        let mut client = server.client().await;
        client.ask("/").await;
        // More than the kernel's buffers hold, so the server has written after the clock was advanced.
        let mut some = vec![0; 16 << 20];
        for _ in 0..3 {
            client.0.read_exact(&mut some).await.expect("the connection is open");
            tokio::time::advance(seconds(59)).await;
        }
        client.0.read_exact(&mut some).await.expect("the connection is open");
        let ((), time) = passing(until(|| server.active() == 0)).await;
        assert!(time >= seconds(60), "{time:?}");
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn no_timeout_limits_the_service() {
    run_paused(async {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let server = Server::start(service(routes(Arc::clone(&begun), Arc::clone(&go)))).await;
        let mut client = server.client().await;
        client.ask("/slow").await;
        begun.notified().await;
        tokio::time::advance(seconds(10_000)).await;
        go.notify_one();
        assert_eq!(client.answer().await.body, b"done\n");
        drop(client);
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn a_limit_of_none_never_expires() {
    run_paused(async {
        let never = get(async || pending::<&'static str>().await);
        let protocol = service(Router::new().route("/", never))
            .header_read_timeout(None)
            .idle_timeout(None)
            .body_read_timeout(None)
            .write_timeout(None);
        let server = Server::start(protocol).await;
        let (mut one, mut two) = (server.client().await, server.client().await);
        one.send("GET / HT").await;
        two.ask("/nowhere").await;
        assert_eq!(two.answer().await.status(), "404");
        tokio::time::advance(seconds(80_000)).await;
        one.send("TP/1.1\r\nhost: test\r\n\r\n").await;
        two.ask("/nowhere").await;
        assert_eq!(two.answer().await.status(), "404");
        assert_eq!(server.active(), 2);
        drop((one, two));
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn a_path_above_the_limit_is_answered_by_414() {
    run(async {
        let protocol = service(routes(Arc::default(), Arc::default())).max_header_bytes(200_000);
        let server = Server::start(protocol).await;
        let mut client = server.client().await;
        client.ask(&format!("/{}", "x".repeat(70_000))).await;
        assert_eq!(client.answer().await.status(), "414");
        // A limit that no request reaches.
        let mut client = server.client().await;
        client.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", "a: b\r\n".repeat(101))).await;
        assert_eq!(client.answer().await.status(), "431");
        server.stop().await;
    });
}
