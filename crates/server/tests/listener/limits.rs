//! The limit of connections.

use std::io;

use impresario_server::{Listener, Socket, serve};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Echo, Server, run, until};

#[test]
fn the_limit_is_hard_and_an_end_frees_capacity() {
    run(async {
        let (connected, mut connections) = unbounded_channel();
        let protocol = serve(move |mut socket: Socket| {
            connected.send(socket.peer_addr().as_ip()).expect("the test listens");
            async move {
                while let Some(data) = socket.recv().await? {
                    socket.send(data).await?;
                }
                io::Result::Ok(())
            }
        });
        let server = Server::of(Listener::tcp("127.0.0.1:0", protocol).max_connections(2)).await;
        let mut first = server.client().await;
        let mut second = server.client().await;
        let mut third = server.client().await;
        third.send("third\n").await;
        for _ in 0..10 {
            first.echo("one\n").await;
            second.echo("two\n").await;
        }
        assert_eq!(connections.recv().await.flatten(), first.0.local_addr().ok());
        assert_eq!(connections.recv().await.flatten(), second.0.local_addr().ok());
        assert!(connections.try_recv().is_err(), "a third connection was served");
        assert_eq!(server.listener.active(), 2);
        drop(first);
        third.expect("third\n").await;
        second.echo("two\n").await;
        assert_eq!(server.listener.active(), 2);
        // This protocol ignores a drain.
        drop((second, third));
        server.tree.stop().await;
    });
}

#[test]
fn a_panic_frees_its_permit() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(1)).await;
        for _ in 0..20 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            client.send("panic\n").await;
            client.closed().await;
        }
        until(|| server.listener.active() == 0).await;
        server.tree.stop().await;
    });
}

#[test]
fn two_hundred_connections_at_a_limit_of_10_are_all_served() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(10)).await;
        let addr = server.addr();
        let clients = (0..200).map(|i| async move {
            let mut client = crate::support::Client::connect(addr).await;
            client.echo(&format!("{i}\n")).await;
        });
        futures::future::join_all(clients).await;
        until(|| server.listener.active() == 0).await;
        server.tree.stop().await;
    });
}
