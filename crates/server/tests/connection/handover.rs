//! Ownership is a value: only its holder can read.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use impresario_actor::Strategy;
use impresario_server::{
    Accepted, Acceptor, Address, ClaimOutcome, ConnectionTracker, Connections, ListenSocket, RejectError,
    Socket, TransferError,
};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{Client, Echo, Running, run, until};

/// What became of a connection, once it is known.
fn outcome(accepted: Accepted) -> (Accepted, Arc<Mutex<Vec<ClaimOutcome>>>) {
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&outcomes);
    (accepted.on_outcome(move |outcome| told.lock().expect("no panic").push(outcome)), outcomes)
}

fn received(outcomes: &Mutex<Vec<ClaimOutcome>>) -> Vec<ClaimOutcome> {
    outcomes.lock().expect("no panic").clone()
}

/// An acceptor without a server: everything it accepts comes out here.
async fn accepting(
    tracker: &ConnectionTracker,
) -> (Running, std::net::SocketAddr, UnboundedReceiver<Accepted>) {
    let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
    let addr = socket.local_addr().as_ip().expect("TCP");
    let (sender, receiver) = unbounded_channel();
    let acceptor = Acceptor::new(socket, tracker, move |accepted| {
        sender.send(accepted).map_err(|lost| RejectError::NotRunning(lost.0))
    });
    let tree = Running::start([acceptor.child_spec("acceptor"), tracker.drain_spec("drain", None)]).await;
    (tree.expect("it starts"), addr, receiver)
}

#[test]
fn claiming_is_the_acknowledgement() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let mut client = Client::connect(addr).await;
        client.send("early").await;
        let (accepted, outcomes) = outcome(incoming.recv().await.expect("a connection"));
        assert_eq!(received(&outcomes), []);
        let mut socket = accepted.claim().expect("an open socket");
        assert_eq!(received(&outcomes), [ClaimOutcome::Claimed]);
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "early");
        drop(socket);
        assert_eq!(received(&outcomes), [ClaimOutcome::Claimed]);
        assert_eq!(client.rest().await, b"");
        tree.stop().await;
    });
}

#[test]
fn what_is_pending_is_known_without_reading_it() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let mut client = Client::connect(addr).await;
        let accepted = incoming.recv().await.expect("a connection").with_read_ahead("ahead");
        let mut socket = accepted.claim().expect("an open socket");
        assert!(socket.has_pending());
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "ahead");
        assert!(!socket.has_pending());
        client.send("sent").await;
        assert!(socket.has_pending());
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "sent");
        drop(client);
        assert!(!socket.has_pending());
        drop(socket);
        tree.stop().await;
    });
}

#[test]
fn dropped_unclaimed_it_is_closed_and_refused() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let client = Client::connect(addr).await;
        let (accepted, outcomes) = outcome(incoming.recv().await.expect("a connection"));
        drop(accepted);
        assert_eq!(received(&outcomes), [ClaimOutcome::Dropped]);
        client.closed().await;
        tree.stop().await;
    });
}

/// Claims on a runtime that was shut down: its reactor refuses every socket.
fn claim_without_reactor(accepted: Accepted) -> std::io::Error {
    let claim = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        drop(runtime);
        let _context = handle.enter();
        accepted.claim().expect_err("the reactor is closed")
    };
    std::thread::spawn(claim).join().expect("no panic")
}

#[test]
fn a_failed_claim_fails_the_transfer_and_closes() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let client = Client::connect(addr).await;
        let accepted = incoming.recv().await.expect("a connection");
        let claim = |accepted| {
            claim_without_reactor(accepted);
            Ok(())
        };
        let error = accepted.transfer(claim).await.expect_err("the claim failed");
        assert!(matches!(error, TransferError::ClaimFailed(_)), "{error:?}");
        assert!(error.into_accepted().is_none());
        client.closed().await;
        tree.stop().await;
    });
}

#[test]
fn a_failed_claim_has_the_outcome_dropped() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let client = Client::connect(addr).await;
        let (accepted, outcomes) = outcome(incoming.recv().await.expect("a connection"));
        claim_without_reactor(accepted);
        assert_eq!(received(&outcomes), [ClaimOutcome::Dropped]);
        client.closed().await;
        tree.stop().await;
    });
}

#[test]
fn a_second_callback_resolves_the_first_as_claimed() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let _client = Client::connect(addr).await;
        let (accepted, first) = outcome(incoming.recv().await.expect("a connection"));
        let (accepted, second) = outcome(accepted);
        assert_eq!(received(&first), [ClaimOutcome::Claimed]);
        assert_eq!(received(&second), []);
        drop(accepted);
        assert_eq!(received(&second), [ClaimOutcome::Dropped]);
        tree.stop().await;
    });
}

#[test]
fn read_ahead_bytes_are_received_first() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        for by_recv in [true, false] {
            let mut client = Client::connect(addr).await;
            client.send("world").await;
            let accepted = incoming.recv().await.expect("a connection").with_read_ahead("hello ");
            assert_eq!(accepted.read_ahead(), "hello ");
            let mut socket = accepted.claim().expect("an open socket");
            if by_recv {
                assert_eq!(socket.recv().await.expect("bytes").expect("more"), "hello ");
                assert_eq!(socket.recv().await.expect("bytes").expect("more"), "world");
            } else {
                let mut text = [0; 11];
                socket.read_exact(&mut text[..3]).await.expect("bytes");
                socket.read_exact(&mut text[3..]).await.expect("bytes");
                assert_eq!(&text, b"hello world");
            }
        }
        tree.stop().await;
    });
}

#[test]
fn it_goes_to_another_thread() {
    run(async {
        let (tree, addr, mut incoming) = accepting(&ConnectionTracker::new()).await;
        let mut client = Client::connect(addr).await;
        client.send("hello").await;
        let accepted = incoming.recv().await.expect("a connection");
        let other = std::thread::spawn(move || {
            run(async move {
                let mut socket = accepted.claim().expect("an open socket");
                let data = socket.recv().await.expect("bytes").expect("more");
                socket.send(data).await.expect("the client is there");
                socket.close().await;
            });
        });
        assert_eq!(client.rest().await, b"hello");
        other.join().expect("no panic");
        tree.stop().await;
    });
}

#[test]
fn it_can_be_made_of_a_descriptor() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let connections = Connections::new(|| Echo);
        let tree =
            Running::start([connections.child_spec("connections"), connections.drain_spec("drain", None)])
                .await
                .expect("it starts");
        let mut client = Client::connect(listener.local_addr().expect("bound")).await;
        let (stream, peer) = listener.accept().expect("a connection");
        let accepted = Accepted::from_fd(OwnedFd::from(stream), peer).expect("an open socket");
        connections.start(accepted.with_read_ahead("first ")).expect("there is room");
        client.send("second").await;
        client.expect("first second").await;
        assert_eq!(connections.tracker().active(), 1);
        drop(client);
        until(|| connections.tracker().active() == 0).await;
        tree.stop().await;
        // Whatever else another process may send is no connection.
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let file = std::fs::File::open("/dev/null").expect("it exists");
        for other in [OwnedFd::from(datagrams), file.into()] {
            Accepted::from_fd(other, Address::unnamed()).expect_err("no stream socket");
        }
    });
}

#[test]
fn a_rejected_connection_comes_back_with_the_reason() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let connections = Connections::new(|| Echo).max_connections(1);
        let next = || async {
            let client = Client::connect(addr).await;
            let (stream, peer) = listener.accept().expect("a connection");
            (client, Accepted::from_fd(OwnedFd::from(stream), peer).expect("an open socket"))
        };

        let (mut client, accepted) = next().await;
        let refusal = connections.start(accepted).expect_err("it has not started");
        assert!(matches!(refusal, RejectError::NotRunning(_)), "{refusal}");
        let accepted = refusal.into_accepted();

        let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
        let tree = Running::with(Strategy::RestForOne, children).await.expect("it starts");
        connections.start(accepted).expect("there is room");
        client.echo("hello\n").await;

        let (second, accepted) = next().await;
        let refusal = connections.start(accepted).expect_err("one is the limit");
        assert!(matches!(refusal, RejectError::Full(_)), "{refusal}");
        drop(refusal);
        second.closed().await;

        client.send("partly").await;
        client.expect("partly").await;
        let (_third, accepted) = next().await;
        tree.root.stop();
        client.expect("bye\n").await;
        let refusal = connections.start(accepted).expect_err("it is going down");
        assert!(matches!(refusal, RejectError::Draining(_)), "{refusal}");
        assert_eq!(client.rest().await, b"");
        tree.root.stopped().await;
    });
}

#[test]
fn into_permit_closes_the_descriptor_and_counts_on() {
    run(async {
        let tracker = ConnectionTracker::new().max_connections(1);
        let (tree, addr, mut incoming) = accepting(&tracker).await;
        let client = Client::connect(addr).await;
        let (accepted, outcomes) = outcome(incoming.recv().await.expect("a connection"));
        let permit = accepted.into_permit().expect("it came through the tracker");
        assert_eq!(
            (received(&outcomes).as_slice(), tracker.active()),
            ([ClaimOutcome::Claimed].as_slice(), 1)
        );
        client.closed().await;
        assert!(tracker.admit().is_none());
        drop(permit);
        assert_eq!(tracker.active(), 0);
        tree.stop().await;
    });
}

#[test]
fn a_socket_without_a_tracker_never_drains() {
    run(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let _client = Client::connect(listener.local_addr().expect("bound")).await;
        let (stream, peer) = listener.accept().expect("a connection");
        let accepted = Accepted::from_fd(OwnedFd::from(stream), peer).expect("an open socket");
        let socket: Socket = accepted.claim().expect("an open socket");
        assert!(!socket.draining().is_draining());
    });
}
