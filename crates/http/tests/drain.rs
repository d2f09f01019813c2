//! Drain: which requests are answered, and which connections are closed.

mod support;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use impresario_actor::{Strategy, Supervisor, Tree};
use impresario_http::service;
use impresario_server::{Accepted, ConnectionTracker, Protocol, Socket};
use support::{Client, routes, run, until};
use tokio::net::TcpStream;

/// A tracker with connections and without a listener.
struct DrainServer {
    tracker: ConnectionTracker,
    tree: Tree,
}

impl DrainServer {
    async fn open() -> Self {
        let tracker = ConnectionTracker::new();
        let tree = Supervisor::new(Strategy::OneForOne).child(tracker.drain_spec("drain", None));
        Self { tracker, tree: tree.start().await.expect("a tree that can start") }
    }

    async fn connect(&self) -> (Client, Accepted) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let client = TcpStream::connect(listener.local_addr().expect("the listener is bound"))
            .await
            .expect("the server listens");
        let (stream, peer) = listener.accept().expect("the client is connected");
        let accepted = Accepted::from_fd(stream.into(), peer).expect("a valid socket");
        (Client(client), accepted.with_permit(self.tracker.admit().expect("the tracker admits connections")))
    }

    async fn drain(&self) {
        self.tree.stop();
        until(|| self.tracker.is_draining()).await;
    }
}

fn claim(accepted: Accepted) -> Socket {
    accepted.claim().expect("the socket is open")
}

async fn serve(socket: Socket) -> io::Result<()> {
    // Without the head timeout: only the drain limits apply.
    service(routes(Arc::default(), Arc::default())).header_read_timeout(None).serve(socket).await
}

async fn last_answer(client: &mut Client) {
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.body.as_slice()), ("200", b"hello\n".as_slice()));
    assert!(answer.closes(), "{}", answer.head);
    assert_eq!(answer.head.matches("close").count(), 1, "{}", answer.head);
    assert_eq!(client.rest().await, "");
}

#[test]
fn a_request_sent_before_the_drain_is_answered() {
    run(async {
        let server = DrainServer::open().await;
        let (mut client, accepted) = server.connect().await;
        client.ask("/").await;
        server.drain().await;
        // The first poll of the connection comes before the reactor reports the socket as readable.
        let (served, ()) = tokio::join!(serve(claim(accepted)), last_answer(&mut client));
        served.expect("the connection ends without an error");
        server.tree.stopped().await;
    });
}

#[test]
fn a_request_on_an_idle_connection_is_answered_in_a_drain() {
    run(async {
        let server = DrainServer::open().await;
        let (mut client, accepted) = server.connect().await;
        let exchange = async {
            assert!(!client.get("/").await.closes());
            client.ask("/").await;
            server.drain().await;
            // Answered before the drain is noticed (keep-alive) or after it (close).
            let _ = client.answer().await;
            assert_eq!(client.rest().await, "");
        };
        let (served, ()) = tokio::join!(serve(claim(accepted)), exchange);
        served.expect("the connection ends without an error");
        server.tree.stopped().await;
    });
}

#[test]
fn the_first_request_of_a_new_connection_is_answered() {
    run(async {
        let server = DrainServer::open().await;
        let (mut client, accepted) = server.connect().await;
        server.drain().await;
        let exchange = async {
            client.ask("/").await;
            last_answer(&mut client).await;
        };
        // Biased: the connection is polled before the client sends.
        let (served, ()) = tokio::join!(biased; serve(claim(accepted)), exchange);
        served.expect("the connection ends without an error");
        server.tree.stopped().await;
    });
}

#[test]
fn a_silent_connection_is_closed_by_the_drain() {
    run(async {
        let server = DrainServer::open().await;
        let (mut client, accepted) = server.connect().await;
        server.drain().await;
        let (served, ()) = tokio::join!(serve(claim(accepted)), client.closed());
        served.expect("the connection ends without an error");
        server.tree.stopped().await;
    });
}

#[test]
fn half_a_head_times_out_in_a_drain() {
    run(async {
        let server = DrainServer::open().await;
        let (mut unread, pending) = server.connect().await;
        let (mut read, accepted) = server.connect().await;
        unread.send("GET / HTTP/1.1\r\nho").await;
        read.send("GET / HTTP/1.1\r\nho").await;
        let drained = async {
            server.drain().await;
            serve(claim(pending)).await
        };
        // The drain has no deadline, so only the drain limit of a head ends them.
        for served in <[_; 2]>::from(tokio::join!(serve(claim(accepted)), drained)) {
            assert_eq!(served.expect_err("the head has timed out").kind(), io::ErrorKind::TimedOut);
        }
        server.tree.stopped().await;
    });
}
