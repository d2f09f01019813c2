//! What a client may do at most, and what it is told then.

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

/// `/all` collects the body, `/lenient` says what it got of it, `/raw` fails with whatever the body fails with.
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
fn a_body_that_announces_too_much_is_answered_by_413_unseen() {
    run(async {
        let seen = Arc::default();
        let server = Server::start(service(uploads(&seen)).max_body_bytes(10)).await;
        let mut client = server.client().await;
        client.post("/all", "content-length: 10\r\n", "0123456789").await;
        assert_eq!(client.answer().await.body, b"10");
        // Not even asked to go on.
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
fn a_body_that_grows_too_long_is_answered_by_413() {
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
        // Who makes good of it has the last word.
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
fn a_body_that_stops_coming_is_answered_by_408() {
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
fn a_body_that_comes_slowly_is_waited_for() {
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
fn a_byte_at_a_time_buys_no_time() {
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
                // The server may be gone already.
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
fn silence_is_ended_by_its_own_limit() {
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
        // What was read of a body is not half a head.
        client.post("/echo", "content-length: 4\r\n", "").await;
        client.0.readable().await.expect("an answer begins");
        client.send("body").await;
        assert_eq!(client.answer().await.body, b"body");
        let ((), time) = passing(client.closed()).await;
        assert!(time >= seconds(60), "{time:?}");
        until(|| server.active() == 0).await;
        server.stop().await;
    });
}

#[test]
fn who_does_not_read_the_answer_is_cut_off_and_who_reads_slowly_is_not() {
    run_paused(async {
        let flood =
            || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(vec![b'x'; 65_536]))) };
        let server = Server::start(service(Router::new().route("/", get(flood)))).await;
        let mut client = server.client().await;
        client.ask("/").await;
        // More than the kernel's buffers hold, so the server has written since the clock moved.
        let mut some = vec![0; 16 << 20];
        for _ in 0..3 {
            client.0.read_exact(&mut some).await.expect("it is still there");
            tokio::time::advance(seconds(59)).await;
        }
        client.0.read_exact(&mut some).await.expect("it is still there");
        let ((), time) = passing(until(|| server.active() == 0)).await;
        assert!(time >= seconds(60), "{time:?}");
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn a_slow_service_has_all_the_time_it_wants() {
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
fn limits_that_are_off_are_off() {
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
fn a_path_that_is_too_long_is_answered_by_414() {
    run(async {
        let protocol = service(routes(Arc::default(), Arc::default())).max_header_bytes(200_000);
        let server = Server::start(protocol).await;
        let mut client = server.client().await;
        client.ask(&format!("/{}", "x".repeat(70_000))).await;
        assert_eq!(client.answer().await.status(), "414");
        // More fields than anybody has.
        let mut client = server.client().await;
        client.send(format!("GET / HTTP/1.1\r\nhost: test\r\n{}\r\n", "a: b\r\n".repeat(101))).await;
        assert_eq!(client.answer().await.status(), "431");
        server.stop().await;
    });
}
