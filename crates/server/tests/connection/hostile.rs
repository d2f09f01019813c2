//! Peers that are slow, silent, or gone at the worst moment, over real sockets.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use impresario_server::{Accepted, Bytes, Handler, Next, Socket, Transport};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::support::{Client, Echo, Server, run, until};

/// Sends without end to a peer that has sent one byte.
struct Flood;

impl Handler for Flood {
    async fn data(&mut self, _: Bytes, socket: &mut Socket) -> io::Result<Next> {
        loop {
            socket.send([b'x'; 64 * 1024]).await?;
        }
    }
}

fn reset(client: Client) {
    client.0.set_zero_linger().expect("an open socket");
    drop(client);
}

#[test]
fn a_client_that_never_reads_is_let_go_and_others_are_served() {
    run(async {
        let transport = Transport::new().write_timeout(Duration::from_secs(5));
        let mut server = Server::start(transport.wrap(|| Flood)).await;
        let mut stuck = server.client().await;
        stuck.send("go").await;
        let mut reader = server.client().await;
        reader.send("go").await;
        reader.expect([b'x'; 1000]).await;
        reset(reader);
        until(|| server.listener.active() == 1).await;
        // Nothing moves any more, so the time that is left passes at once.
        tokio::time::pause();
        server.tree.log.wait_for(&["took nothing for 5s"]).await;
        tokio::time::resume();
        until(|| server.listener.active() == 0).await;
        assert_eq!(server.outside.metrics().ended.lost, 2);
        server.tree.stop().await;
    });
}

#[test]
fn a_reset_at_any_moment_leaks_nothing() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut good = server.client().await;
        for round in 0..60 {
            let mut client = server.client().await;
            match round % 6 {
                // In the queue of the kernel, perhaps; or on the way to its actor.
                0 => {}
                1 => tokio::task::yield_now().await,
                // With bytes that were not read.
                2 => client.send("hello\n").await,
                3 => client.echo("hello\n").await,
                // With an answer on the way, or a close.
                4 => {
                    client.echo("hello\n").await;
                    client.send(vec![b'x'; 100_000]).await;
                }
                _ => client.send("close\n").await,
            }
            reset(client);
            good.echo("still here\n").await;
        }
        until(|| server.listener.active() == 1).await;
        let ends = server.outside.metrics().ended;
        assert_eq!((ends.failed, ends.crashed, ends.stopped), (0, 0, 0), "{ends:?}");
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        server.tree.stop().await;
    });
}

#[test]
fn a_client_that_says_no_more_still_gets_its_answers() {
    run(async {
        let server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        // Half open from the beginning.
        client.send("last words\n").await;
        client.finish().await;
        assert_eq!(client.rest().await, b"last words\n");
        // And one that never said a word.
        let mut client = server.client().await;
        client.finish().await;
        client.closed().await;
        until(|| server.listener.active() == 0).await;
        assert_eq!(server.outside.metrics().ended.completed, 2);
        server.tree.stop().await;
    });
}

#[test]
fn silence_has_its_time_over_real_sockets_too() {
    run(async {
        let transport = Transport::new().read_timeout(Duration::from_secs(5));
        let server = Server::start(transport.wrap(|| Echo)).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            clients.push(client);
        }
        tokio::time::pause();
        for client in clients {
            assert_eq!(client.rest().await, b"");
        }
        tokio::time::resume();
        until(|| server.listener.active() == 0).await;
        assert_eq!(server.outside.metrics().ended.completed, 20);
        server.tree.stop().await;
    });
}

/// A stream over another socket, read by `poll_recv`.
struct Tunnel(Socket);

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(bytes) = ready!(self.0.poll_recv(cx))? {
            buffer.put_slice(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[test]
fn a_stream_that_polls_another_socket_is_read() {
    run(async {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let (mut client, stream) = tokio::io::duplex(64);
        let inner = Accepted::from_stream(stream, peer).claim().expect("it needs no reactor");
        let mut outer = Accepted::from_stream(Tunnel(inner), peer).claim().expect("it needs no reactor");
        client.write_all(b"through\n").await.expect("it fits");
        assert_eq!(outer.recv().await.expect("no error"), Some(Bytes::from("through\n")));
        drop(client);
        assert_eq!(outer.recv().await.expect("no error"), None);
    });
}
