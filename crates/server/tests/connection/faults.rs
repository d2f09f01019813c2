//! Transports that fail, in every phase of a connection.

use std::io;
use std::time::Duration;

use impresario_server::{Accepted, Address, Bytes, Connections, Ended, Handler, Next, SendError, Socket};

use crate::support::faulty::{Faulty, Remote, Step, faulty};
use crate::support::{Echo, Running, run, until};

fn claim(stream: Faulty) -> Socket {
    Accepted::from_stream(stream, Address::unnamed()).claim().expect("there is nothing to register")
}

fn bytes(text: &str) -> Step {
    Step::Bytes(text.into())
}

#[test]
fn an_interrupted_read_or_write_is_tried_again() {
    run(async {
        let interrupted = || Step::Error(io::ErrorKind::Interrupted);
        let reads = [interrupted(), Step::Later, interrupted(), bytes("hello")];
        let (stream, remote) = faulty(reads, [interrupted(), Step::Take(2), interrupted(), Step::Later]);
        let mut socket = claim(stream);
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "hello");
        socket.send("answer").await.expect("it is taken");
        assert_eq!(remote.written(), b"answer");
        assert_eq!(socket.recv().await.expect("an orderly end"), None);
        // However often it is asked.
        assert_eq!(socket.recv().await.expect("an orderly end"), None);
    });
}

#[test]
fn one_that_never_stops_interrupting_is_an_error() {
    run(async {
        let (stream, _remote) = faulty(vec![Step::Error(io::ErrorKind::Interrupted); 100], []);
        let error = claim(stream).recv().await.expect_err("that is not normal");
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    });
}

#[test]
fn short_reads_and_writes_lose_nothing() {
    run(async {
        let sent: Vec<u8> = (0..3000_u32).map(|i| (i % 251) as u8).collect();
        let reads = sent.chunks(7).flat_map(|piece| [Step::Bytes(piece.to_vec()), Step::Later]);
        let writes = std::iter::repeat_n([Step::Take(3), Step::Later], 1000).flatten();
        let (stream, remote) = faulty(reads, writes);
        let mut socket = claim(stream);
        while let Some(data) = socket.recv().await.expect("no error") {
            socket.send(data).await.expect("no error");
        }
        socket.close().await;
        assert!(remote.written() == sent, "{} of {} bytes", remote.written().len(), sent.len());
        assert!(remote.is_shut_down() && remote.is_dropped());
    });
}

#[test]
fn a_write_of_nothing_is_an_error_and_no_endless_loop() {
    run(async {
        let (stream, _remote) = faulty([Step::Never], [Step::Take(0)]);
        let error = claim(stream).send("hello").await.expect_err("nothing is taken");
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    });
}

/// Serves one connection that fails in this way.
async fn serve(reads: Vec<Step>, writes: Vec<Step>) -> (Remote, Ended, Vec<String>) {
    let connections = Connections::new(|| Echo);
    let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
    let mut tree = Running::start(children).await.expect("it starts");
    let (stream, remote) = faulty(reads, writes);
    connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
    until(|| connections.tracker().metrics().ended != Ended::default()).await;
    let lines = tree.log.so_far();
    let ends = connections.tracker().metrics().ended;
    tree.stop().await;
    (remote, ends, lines)
}

#[test]
fn a_reset_ends_its_connection_quietly_in_every_phase() {
    run(async {
        let reset = || Step::Error(io::ErrorKind::ConnectionReset);
        let phases = [
            (vec![reset()], vec![]),
            (vec![bytes("a"), reset()], vec![]),
            (vec![bytes("a"), Step::Later, reset()], vec![]),
            (vec![bytes("a"), Step::Never], vec![reset()]),
            (vec![bytes("abc"), Step::Never], vec![Step::Take(1), reset()]),
            (vec![bytes("abc"), Step::Never], vec![Step::Take(1), Step::Later, reset()]),
            (vec![bytes("close\n"), Step::Never], vec![reset()]),
        ];
        for (reads, writes) in phases {
            let case = format!("{reads:?} {writes:?}");
            let (remote, ends, lines) = serve(reads, writes).await;
            assert_eq!((ends.lost, ends.failed, ends.crashed), (1, 0, 0), "{case}");
            assert!(remote.is_dropped(), "{case}");
            assert!(!lines.iter().any(|line| line.contains("ERRO")), "{case}: {lines:?}");
        }
    });
}

#[test]
fn an_error_that_is_not_the_peers_is_reported_and_counted() {
    run(async {
        let (remote, ends, lines) = serve(vec![Step::Error(io::ErrorKind::OutOfMemory)], vec![]).await;
        assert_eq!((ends.failed, ends.lost), (1, 0));
        assert!(remote.is_dropped());
        assert!(lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
    });
}

#[test]
fn a_panic_counts_as_crashed_an_orderly_end_as_completed() {
    run(async {
        let (remote, ends, _) = serve(vec![bytes("panic\n")], vec![]).await;
        assert_eq!((ends.crashed, ends.completed), (1, 0));
        assert!(remote.is_dropped() && !remote.is_shut_down());
        let (remote, ends, _) = serve(vec![bytes("a")], vec![]).await;
        assert_eq!((ends.crashed, ends.completed), (0, 1));
        assert!(remote.is_dropped() && remote.is_shut_down());
    });
}

#[test]
fn a_peer_that_never_reads_has_its_time_and_no_more() {
    run(async {
        let (stream, remote) = faulty([Step::Never], [Step::Take(3), Step::Never]);
        let mut socket = claim(stream);
        socket.set_write_timeout(Duration::from_secs(20));
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        let error = socket.send("hello").await.expect_err("the peer does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("20s"), "{error}");
        assert_eq!((before.elapsed().as_secs(), remote.written()), (20, b"hel".to_vec()));
    });
}

#[test]
fn a_peer_that_reads_slowly_is_waited_for() {
    run(async {
        let (stream, remote) = faulty([], [Step::Never]);
        let mut socket = claim(stream);
        socket.set_write_timeout(Duration::from_secs(2));
        tokio::time::pause();
        let send = socket.send("0123456789");
        let read = async {
            for _ in 0..10 {
                tokio::time::advance(Duration::from_secs(1)).await;
                remote.go_on([], [Step::Take(1), Step::Never]);
                tokio::task::yield_now().await;
            }
        };
        // All in all it takes 10 s, but never 2 s for the next byte.
        let (sent, ()) = tokio::join!(send, read);
        sent.expect("it is waited for");
        assert_eq!(remote.written(), b"0123456789");
    });
}

#[test]
fn what_is_not_taken_is_kept_up_to_a_limit() {
    run(async {
        let (stream, remote) = faulty([Step::Never], [Step::Take(2), Step::Never]);
        let mut socket = claim(stream);
        socket.set_write_buffer(8);
        socket.try_send("abcdef").expect("there is room");
        assert_eq!((remote.written(), socket.unsent()), (b"ab".to_vec(), 4));
        let full = socket.try_send("ghijk").expect_err("there is none");
        assert!(matches!(full, SendError::Full { length: 5, waiting: 4, limit: 8 }), "{full:?}");
        socket.try_send("ghij").expect("there is room");
        assert_eq!(socket.unsent(), 8);
        remote.go_on([Step::Never], []);
        socket.flush().await.expect("now it is taken");
        assert_eq!((remote.written(), socket.unsent()), (b"abcdefghij".to_vec(), 0));
        let full = socket.try_send("123456789").expect_err("more than the limit is never promised");
        assert!(matches!(full, SendError::Full { waiting: 0, .. }), "{full:?}");
        // Nothing of what was refused was sent, and the order is kept.
        socket.try_send("k").expect("there is room");
        socket.send("l").await.expect("it is taken");
        assert_eq!(remote.written(), b"abcdefghijkl");
    });
}

#[test]
fn what_waits_is_written_while_it_is_read() {
    run(async {
        let (stream, remote) = faulty([Step::Never], [Step::Never]);
        let mut socket = claim(stream);
        socket.try_send("later").expect("there is room");
        let (received, ()) = tokio::join!(socket.recv(), async {
            remote.go_on([Step::Never], []);
            until(|| remote.written() == b"later").await;
            remote.go_on([bytes("x")], []);
        });
        assert_eq!(received.expect("bytes").expect("more"), "x");
    });
}

#[test]
fn a_peer_that_takes_nothing_ends_a_connection_being_read() {
    run(async {
        let (stream, _remote) = faulty([Step::Never], [Step::Never]);
        let mut socket = claim(stream);
        socket.set_write_timeout(Duration::from_secs(5));
        tokio::time::pause();
        socket.try_send("never").expect("there is room");
        let error = socket.recv().await.expect_err("the peer does not read");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

/// Answers without waiting.
struct Eager;

impl Handler for Eager {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.try_send(data)?;
        Ok(Next::Close)
    }
}

#[test]
fn what_waits_is_written_before_a_close() {
    run(async {
        let connections = Connections::new(|| Eager);
        let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
        let tree = Running::start(children).await.expect("it starts");
        let (stream, remote) = faulty([bytes("hello"), Step::Never], [Step::Take(1), Step::Never]);
        connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
        until(|| remote.written() == b"h").await;
        assert!(!remote.is_shut_down());
        remote.go_on([], []);
        until(|| remote.is_dropped()).await;
        assert_eq!(remote.written(), b"hello");
        assert!(remote.is_shut_down());
        tree.stop().await;
    });
}
