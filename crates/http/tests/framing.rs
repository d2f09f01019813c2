//! Unusual requests: some are valid, some are attacks.

mod support;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::routing::post;
use http_body_util::BodyExt;
use impresario_http::service;
use support::{Server, run, until};
use tokio::io::AsyncWriteExt;

/// Returns the framing, the body and the trailers of a request.
fn mirror() -> Router {
    let see = |headers: &HeaderMap| {
        let field = |name: &str| headers.get_all(name).iter().count();
        format!("{}/{}", field("content-length"), field("transfer-encoding"))
    };
    let mirror = move |request: Request<Body>| async move {
        let framing = see(request.headers());
        let collected = request.into_body().collect().await.expect("a complete body");
        let trailer = collected.trailers().and_then(|fields| fields.get("x-sum")).cloned();
        let trailer = trailer.map_or_else(String::new, |value| format!("{value:?}"));
        format!("{framing} {} {trailer}", String::from_utf8_lossy(&collected.to_bytes()))
    };
    Router::new().route("/", post(mirror).get(async || "hello\n"))
}

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

#[test]
fn ambiguous_framing_is_answered_by_400() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let cases = [
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 6\r\n\r\nhello!",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551616\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nx: y\r\n folded\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nx: y\x00z\r\n\r\n",
        ];
        for case in cases {
            let mut client = server.client().await;
            client.send(case).await;
            assert_eq!(client.answer().await.status(), "400", "{case:?}");
            assert_eq!(client.rest().await, "", "{case:?}");
        }
        until(|| server.active() == 0).await;
        assert_eq!(server.errors.count(), 0, "invalid input is not a failure of the actor");
        server.stop().await;
    });
}

#[test]
fn chunked_wins_over_content_length_and_closes() {
    run(async {
        let server = Server::start(service(mirror())).await;
        for both in [
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        ] {
            let mut client = server.client().await;
            // Request smuggling: a proxy that goes by the length takes the rest for another request.
            client.post("/", both, "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let answer = client.answer().await;
            assert_eq!((answer.body.as_slice(), answer.closes()), (b"0/1 hello ".as_slice(), true));
            assert_eq!(client.rest().await, "");
        }
        // Two equal lengths are valid.
        let mut client = server.client().await;
        client.post("/", "content-length: 5\r\ncontent-length: 5\r\n", "hello").await;
        assert_eq!(client.answer().await.body, b"1/0 hello ");
        server.stop().await;
    });
}

#[test]
fn trailers_reach_the_service() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let mut client = server.client().await;
        client.post("/", CHUNKED, "5;ext=1\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n").await;
        assert_eq!(client.answer().await.body, b"0/1 hello \"42\"");
        // The next request begins after the trailers.
        client.post("/", CHUNKED, "0\r\n\r\n").await;
        assert_eq!(client.answer().await.body, b"0/1  ");
        server.stop().await;
    });
}

#[test]
fn expect_continue_is_answered_by_100() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let mut client = server.client().await;
        client.post("/", "content-length: 5\r\nexpect: 100-continue\r\n", "").await;
        client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.send("hello").await;
        assert_eq!(client.answer().await.body, b"1/0 hello ");
        server.stop().await;
    });
}

#[test]
fn a_head_request_gets_no_body() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let mut client = server.client().await;
        client
            .send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\nHEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await;
        let answers = client.rest().await;
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
        assert_eq!(answers.matches("content-length: 6\r\n").count(), 2, "{answers}");
        assert!(!answers.contains("hello"), "{answers}");
        server.stop().await;
    });
}

#[test]
fn http_1_0_is_answered_and_closed() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let mut client = server.client().await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("\r\n\r\nhello\n"), "{answer}");
        server.stop().await;
    });
}

#[test]
fn many_pipelined_requests_are_answered_in_order() {
    run(async {
        let server = Server::start(service(mirror())).await;
        let (mut reading, mut writing) = server.client().await.0.into_split();
        let requests: String = (0..500)
            .map(|number| {
                let body = number.to_string();
                format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            })
            .collect();
        let write = async {
            writing.write_all(requests.as_bytes()).await.expect("the server reads");
            writing
                .write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
                .await
                .expect("the server reads");
        };
        let mut answers = String::new();
        let (read, ()) =
            tokio::join!(tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answers), write);
        read.expect("the connection ends without an error");
        let bodies: Vec<&str> =
            answers.split("1/0 ").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
        let wanted: Vec<String> = (0..500).map(|number| number.to_string()).collect();
        assert_eq!(bodies, wanted);
        server.stop().await;
    });
}
