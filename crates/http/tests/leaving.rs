//! What a draining server still answers, and whom it does not wait for.

mod support;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use impresario_actor::{Strategy, Supervisor, Tree};
use impresario_http::service;
use impresario_server::{Accepted, ConnectionTracker, Protocol, Socket};
use support::{Client, routes, run, until};
use tokio::net::TcpStream;

/// A gate that has connections and no listener.
struct Door {
    gate: ConnectionTracker,
    tree: Tree,
}

impl Door {
    async fn open() -> Self {
        let gate = ConnectionTracker::new();
        let tree = Supervisor::new(Strategy::OneForOne).child(gate.drain_spec("drain", None));
        Self { gate, tree: tree.start().await.expect("nothing that fails") }
    }

    async fn connect(&self) -> (Client, Accepted) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, peer) = listener.accept().expect("connected");
        let accepted = Accepted::from_fd(stream.into(), peer).expect("a socket");
        (Client(client), accepted.with_permit(self.gate.admit().expect("open")))
    }

    async fn drain(&self) {
        self.tree.stop();
        until(|| self.gate.is_draining()).await;
    }
}

fn claim(accepted: Accepted) -> Socket {
    accepted.claim().expect("an open socket")
}

async fn serve(socket: Socket) -> io::Result<()> {
    // No time-out but that of draining.
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
fn a_request_that_was_sent_before_is_answered() {
    run(async {
        let door = Door::open().await;
        let (mut client, accepted) = door.connect().await;
        client.ask("/").await;
        door.drain().await;
        // The reactor has not seen the socket when it is served first.
        let (served, ()) = tokio::join!(serve(claim(accepted)), last_answer(&mut client));
        served.expect("an orderly end");
        door.tree.stopped().await;
    });
}

#[test]
fn one_that_waits_on_an_idle_connection_too() {
    run(async {
        let door = Door::open().await;
        let (mut client, accepted) = door.connect().await;
        let talk = async {
            assert!(!client.get("/").await.closes());
            client.ask("/").await;
            door.drain().await;
            // Answered in the turn that drained, or by the drain.
            let _ = client.answer().await;
            assert_eq!(client.rest().await, "");
        };
        let (served, ()) = tokio::join!(serve(claim(accepted)), talk);
        served.expect("an orderly end");
        door.tree.stopped().await;
    });
}

#[test]
fn a_client_that_has_just_connected_may_still_ask() {
    run(async {
        let door = Door::open().await;
        let (mut client, accepted) = door.connect().await;
        door.drain().await;
        let talk = async {
            client.ask("/").await;
            last_answer(&mut client).await;
        };
        // The connection has its first turn while nothing was sent.
        let (served, ()) = tokio::join!(biased; serve(claim(accepted)), talk);
        served.expect("an orderly end");
        door.tree.stopped().await;
    });
}

#[test]
fn one_that_is_silent_is_closed() {
    run(async {
        let door = Door::open().await;
        let (mut client, accepted) = door.connect().await;
        door.drain().await;
        let (served, ()) = tokio::join!(serve(claim(accepted)), client.closed());
        served.expect("an orderly end");
        door.tree.stopped().await;
    });
}

#[test]
fn half_a_head_does_not_hold_the_server() {
    run(async {
        let door = Door::open().await;
        let (mut unread, pending) = door.connect().await;
        let (mut read, accepted) = door.connect().await;
        unread.send("GET / HTTP/1.1\r\nho").await;
        read.send("GET / HTTP/1.1\r\nho").await;
        let drained = async {
            door.drain().await;
            serve(claim(pending)).await
        };
        // Nothing but the time-out ends them: there is no deadline.
        for served in <[_; 2]>::from(tokio::join!(serve(claim(accepted)), drained)) {
            assert_eq!(served.expect_err("it was too slow").kind(), io::ErrorKind::TimedOut);
        }
        door.tree.stopped().await;
    });
}
