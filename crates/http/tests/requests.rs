//! Valid and invalid requests of HTTP/1.

mod support;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::{Request, Response};
use impresario_http::{Body, service};
use support::{Server, run, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn a_connection_is_kept_alive() {
    run(async {
        let server = Server::of_routes().await;
        let mut client = server.client().await;
        for _ in 0..3 {
            let answer = client.get("/").await;
            assert_eq!((answer.status(), answer.body.as_slice()), ("200", b"hello\n".as_slice()));
        }
        assert_eq!(client.get("/nowhere").await.status(), "404");
        assert_eq!(server.active(), 1);
        drop(client);
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn pipelined_requests_are_answered() {
    run(async {
        let server = Server::of_routes().await;
        let mut client = server.client().await;
        client.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2)).await;
        assert_eq!(client.answer().await.body, b"hello\n");
        assert_eq!(client.answer().await.body, b"hello\n");
        server.stop().await;
    });
}

#[test]
fn a_large_body_is_streamed_in_both_directions() {
    run(async {
        let server = Server::of_routes().await;
        let sent: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut reading, mut writing) = server.client().await.0.into_split();
        let head = format!(
            "POST /echo HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            sent.len()
        );
        let write = async {
            writing.write_all(head.as_bytes()).await.expect("the server reads");
            writing.write_all(&sent).await.expect("the server reads");
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(reading.read_to_end(&mut received), write);
        read.expect("the connection ends without an error");
        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a complete head") + 4;
        assert!(received.starts_with(b"HTTP/1.1 200 "));
        let body = &received[end..];
        assert!(body == sent, "{} of {} bytes came back, or others", body.len(), sent.len());
        server.stop().await;
    });
}

#[test]
fn malformed_chunks_are_no_failure_of_the_server() {
    run(async {
        let server = Server::of_routes().await;
        let overflow = "F".repeat(17);
        for chunks in
            ["ZZ\r\n", "3\rabc", "3\r\nabcdef\r\n", "\r\n", overflow.as_str(), "0\r\n\x01: \x01\r\n\r\n"]
        {
            let mut client = server.client().await;
            let head = "POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
            client.send(format!("{head}{chunks}")).await;
            // The length of the response does not matter.
            let _ = client.0.read_to_end(&mut Vec::new()).await;
            until(|| server.active() == 0).await;
            assert_eq!(server.errors.count(), 0, "{chunks:?}");
        }
        server.stop().await;
    });
}

#[test]
fn bytes_that_are_not_http_are_answered_by_400() {
    run(async {
        let server = Server::of_routes().await;
        for garbage in ["this is no HTTP\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", "GET\r\n\r\n"]
        {
            let mut client = server.client().await;
            client.send(garbage).await;
            let answer = client.answer().await;
            assert_eq!((answer.status(), client.rest().await.as_str()), ("400", ""), "{garbage:?}");
        }
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0, "invalid input is not a failure of the actor");
        server.stop().await;
    });
}

#[test]
fn a_long_head_is_answered_by_431_while_it_is_sent() {
    run(async {
        let server = Server::of_routes().await;
        let (mut reading, mut writing) = server.client().await.0.into_split();
        let head = format!("GET / HTTP/1.1\r\nhost: test\r\nlong: {}\r\n\r\n", "x".repeat(1024 * 1024));
        let mut answer = String::new();
        // The response arrives while the head is sent. Neither side may get an error.
        let (read, written) =
            tokio::join!(reading.read_to_string(&mut answer), writing.write_all(head.as_bytes()));
        read.expect("the connection ends without an error");
        written.expect("the server reads");
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        drop((reading, writing));
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0);
        server.stop().await;
    });
}

#[test]
fn more_than_100_fields_are_answered_by_431() {
    run(async {
        let server = Server::start(
            service(support::routes(Default::default(), Default::default())).max_header_bytes(500),
        )
        .await;
        let mut client = server.client().await;
        assert_eq!(client.get("/").await.status(), "200");
        client.send(format!("GET / HTTP/1.1\r\nhost: test\r\nlong: {}\r\n\r\n", "x".repeat(500))).await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), client.rest().await.as_str()), ("431", ""));
        server.stop().await;
    });
}

/// Counts in an `Rc`, and is ready at the second `poll_ready`.
#[derive(Clone, Default)]
struct Local {
    ready: bool,
}

impl tower_service::Service<Request<Body>> for Local {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if std::mem::replace(&mut self.ready, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before the service was ready");
        let count = Rc::new(Cell::new(0));
        Box::pin(async move {
            tokio::task::yield_now().await;
            count.set(request.uri().path().len());
            Ok(Response::new(count.get().to_string()))
        })
    }
}

#[test]
fn a_service_may_be_local_and_not_ready_at_first() {
    run(async {
        let server = Server::start(service(Local::default())).await;
        let mut client = server.client().await;
        assert_eq!(client.get("/four").await.body, b"5");
        assert_eq!(client.get("/").await.body, b"1");
        server.stop().await;
    });
}

#[test]
fn a_request_without_exactly_one_host_is_answered_by_400() {
    run(async {
        let server = Server::of_routes().await;
        for head in ["", "host: a\r\nhost: b\r\n"] {
            let mut client = server.client().await;
            client.send(format!("GET / HTTP/1.1\r\n{head}\r\n")).await;
            let answer = client.answer().await;
            assert_eq!(answer.status(), "400", "{head:?}");
        }
        let mut old = server.client().await;
        old.send("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(old.answer().await.status(), "200", "HTTP/1.0 has no hosts");
        server.stop().await;
    });
}
