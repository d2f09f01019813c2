//! The drain of a stopped listener.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use impresario_server::{Bytes, Handler, Listener, Next, Socket, serve};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{Client, Echo, Server, run, until};

#[test]
fn idle_connections_are_notified_of_the_drain() {
    run(async {
        let server = Server::start(|| Echo).await;
        let (mut one, mut two) = (server.client().await, server.client().await);
        one.echo("hello\n").await;
        two.echo("hello\n").await;
        let ((), one, two) = tokio::join!(server.tree.stop(), one.rest(), two.rest());
        assert_eq!((one.as_slice(), two.as_slice()), (b"bye\n".as_slice(), b"bye\n".as_slice()));
    });
}

/// Sends `wait`, and `done` after a notification.
struct Slow(Arc<Notify>);

impl Handler for Slow {
    async fn data(&mut self, _: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.send("wait\n").await?;
        self.0.notified().await;
        socket.send("done\n").await?;
        Ok(Next::Continue)
    }

    async fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.send("bye\n").await
    }
}

#[test]
fn a_drain_finishes_work_and_accepts_no_connection() {
    run(async {
        let go = Arc::new(Notify::new());
        let gone = Arc::clone(&go);
        let mut server = Server::start(move || Slow(Arc::clone(&gone))).await;
        let mut client = server.client().await;
        client.send("?").await;
        client.expect("wait\n").await;
        server.tree.root.stop();
        server.tree.log.wait_for(&["draining", "connections=1"]).await;
        let addr = server.addr();
        // The acceptor closes its socket at its next poll.
        while TcpStream::connect(addr).await.is_ok() {}
        let refused = TcpStream::connect(addr).await.expect_err("no process listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(server.listener.active(), 1);
        go.notify_one();
        assert_eq!(client.rest().await, b"done\nbye\n");
        server.tree.root.stopped().await;
    });
}

#[test]
fn the_deadline_closes_connections_that_stay() {
    run(async {
        let never = Arc::new(Notify::new());
        let listener = Listener::tcp("127.0.0.1:0", move || Slow(Arc::clone(&never)));
        let mut server = Server::of(listener.drain_deadline(Duration::from_millis(50))).await;
        let mut client = server.client().await;
        client.send("?").await;
        client.expect("wait\n").await;
        server.tree.root.stop();
        server.tree.log.wait_for(&["WARN", "deadline", "connections=1"]).await;
        assert_eq!(client.rest().await, b"");
        server.tree.root.stopped().await;
        assert_eq!(server.listener.active(), 0);
    });
}

#[test]
fn a_connection_made_during_the_drain_is_closed() {
    run(async {
        let server = Server::start(|| Echo).await;
        // Connected by the kernel, and not accepted yet.
        let client = server.client().await;
        let ((), ()) = tokio::join!(server.tree.stop(), async {
            let mut client = client;
            let mut rest = Vec::new();
            // The bytes of the drain, or a reset.
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest).await;
        });
    });
}

#[test]
fn an_async_function_can_select_between_read_and_drain() {
    run(async {
        let protocol = serve(|mut socket: Socket| async move {
            let mut draining = socket.draining();
            loop {
                tokio::select! {
                    data = socket.recv() => match data? {
                        Some(data) => socket.send(data).await?,
                        None => return Ok(()),
                    },
                    () = &mut draining => return socket.send("so long\n").await,
                }
            }
        });
        let server = Server::start(protocol).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        let ((), rest) = tokio::join!(server.tree.stop(), client.rest());
        assert_eq!(rest, b"so long\n");
    });
}

#[test]
fn a_drain_does_not_affect_another_listener() {
    run(async {
        let (first, second) = (Server::start(|| Echo).await, Server::start(|| Echo).await);
        let mut other = second.client().await;
        other.echo("hello\n").await;
        let mut client = first.client().await;
        client.echo("hello\n").await;
        let ((), rest) = tokio::join!(first.tree.stop(), client.rest());
        assert_eq!(rest, b"bye\n");
        other.echo("still here\n").await;
        assert_eq!(second.listener.active(), 1);
        second.client().await.echo("new\n").await;
        second.tree.stop().await;
    });
}

#[test]
fn a_peer_that_sends_without_pause_is_drained() {
    run(async {
        let served = Arc::new(Mutex::new(0));
        let count = Arc::clone(&served);
        let server = Server::start(move || Talker(Arc::clone(&count))).await;
        let (mut reading, writing) = server.client().await.0.into_split();
        let talking = Rc::new(Notify::new());
        let talk = async {
            while writing.writable().await.is_ok() {
                match writing.try_write(&[b'x'; 1024]) {
                    Ok(_) => talking.notify_one(),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let end = async {
            talking.notified().await;
            until(|| *served.lock().expect("no panic") > 10).await;
            server.tree.stop().await;
            let mut rest = Vec::new();
            let _ = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut rest).await;
        };
        tokio::join!(talk, end);
    });
}

/// Counts what it reads and sends nothing.
struct Talker(Arc<Mutex<usize>>);

impl Handler for Talker {
    async fn data(&mut self, _: Bytes, _: &mut Socket) -> io::Result<Next> {
        *self.0.lock().expect("no panic") += 1;
        Ok(Next::Continue)
    }
}

#[test]
fn a_stopped_server_has_closed_its_port() {
    run(async {
        let server = Server::start(|| Echo).await;
        let addr = server.addr();
        Client::connect(addr).await.echo("hello\n").await;
        server.tree.stop().await;
        let refused = TcpStream::connect(addr).await.expect_err("no process listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}
