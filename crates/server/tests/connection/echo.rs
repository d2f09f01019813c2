//! What comes in goes out, to the byte.

use std::io;

use impresario_server::{Bytes, Handler, Next, Socket, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Echo, Server, run};

#[test]
fn every_byte_comes_back() {
    run(async {
        let server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        client.echo("again\n").await;
        client.finish().await;
        assert_eq!(client.rest().await, b"");
        server.tree.stop().await;
    });
}

#[test]
fn a_large_payload_comes_back_though_the_client_half_closes() {
    run(async {
        let server = Server::start(|| Echo).await;
        // No period that divides a buffer.
        let sent: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut reading, mut writing) = server.client().await.0.into_split();
        let write = async {
            writing.write_all(&sent).await.expect("the server reads");
            writing.shutdown().await.expect("still connected");
        };
        let mut received = Vec::new();
        let (read, ()) = tokio::join!(reading.read_to_end(&mut received), write);
        read.expect("an orderly end");
        assert!(received == sent, "{} of {} bytes came back, or others", received.len(), sent.len());
        server.tree.stop().await;
    });
}

#[test]
fn a_protocol_may_be_one_async_function() {
    async fn shout(mut socket: Socket) -> io::Result<()> {
        socket.send("who?\n").await?;
        while let Some(data) = socket.recv().await? {
            socket.send(data.to_ascii_uppercase()).await?;
        }
        socket.send("bye\n").await
    }

    run(async {
        let server = Server::start(serve(shout)).await;
        let mut client = server.client().await;
        client.expect("who?\n").await;
        client.send("me\n").await;
        client.expect("ME\n").await;
        client.finish().await;
        assert_eq!(client.rest().await, b"bye\n");
        server.tree.stop().await;
    });
}

#[test]
fn each_connection_has_a_handler_of_its_own() {
    struct Count(usize);

    impl Handler for Count {
        async fn connected(&mut self, socket: &mut Socket) -> io::Result<Next> {
            socket.send("0\n").await?;
            Ok(Next::Continue)
        }

        async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
            self.0 += data.len();
            socket.send(format!("{}\n", self.0)).await?;
            Ok(if self.0 < 10 { Next::Continue } else { Next::Close })
        }
    }

    run(async {
        let server = Server::start(|| Count(0)).await;
        let (mut first, mut second) = (server.client().await, server.client().await);
        first.expect("0\n").await;
        second.expect("0\n").await;
        first.send("1234").await;
        first.expect("4\n").await;
        second.send("123456").await;
        second.expect("6\n").await;
        first.send("123456").await;
        assert_eq!(first.rest().await, b"10\n");
        second.send("1").await;
        second.expect("7\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn the_socket_knows_both_addresses() {
    async fn addresses(mut socket: Socket) -> io::Result<()> {
        let line = format!("{} {}", socket.peer_addr(), socket.local_addr()?);
        socket.send(line).await
    }

    run(async {
        let any = impresario_server::Listener::tcp("0.0.0.0:0", serve(addresses));
        let server = Server::of(any).await;
        let addr = ([127, 0, 0, 1], server.addr().port()).into();
        let client = crate::support::Client::connect(addr).await;
        let expected = format!("{} {addr}", client.0.local_addr().expect("bound"));
        assert_eq!(String::from_utf8(client.rest().await).expect("text"), expected);
        server.tree.stop().await;
    });
}
