//! A proxy in front of a listener.

use std::io;
use std::time::Duration;

use impresario_server::{Accepted, Address, Connections, Listener, ProxyProtocol, Socket, Transport, serve};
use tokio::time::{advance, pause};

use crate::support::faulty::{Step, faulty};
use crate::support::{Client, Running, Server, run, until};

const LINE: &str = "PROXY TCP4 1.2.3.4 5.6.7.8 90 443\r\n";

/// Sends the addresses of the connection, and echoes.
async fn announce(mut socket: Socket) -> io::Result<()> {
    let version = socket.proxy_header().map_or(0, |header| header.version);
    socket.send(format!("{version} {} {}\n", socket.peer_addr(), socket.local_addr()?)).await?;
    let mut draining = socket.draining();
    loop {
        tokio::select! {
            data = socket.recv() => match data? {
                Some(data) => socket.send(data).await?,
                None => return Ok(()),
            },
            () = &mut draining => return Ok(()),
        }
    }
}

async fn start(proxy: ProxyProtocol) -> Server<impl impresario_server::Protocol> {
    Server::start(Transport::new().proxy_protocol(proxy).wrap(serve(announce))).await
}

#[test]
fn the_peer_is_the_source_of_the_header() {
    run(async {
        let server = start(ProxyProtocol::Required).await;
        let mut client = server.client().await;
        client.send(LINE).await;
        client.expect("1 1.2.3.4:90 5.6.7.8:443\n").await;
        client.echo("hello").await;
        // In one piece with what comes after it, and byte by byte.
        let mut client = server.client().await;
        client.send(format!("{LINE}hello")).await;
        client.expect("1 1.2.3.4:90 5.6.7.8:443\nhello").await;
        let mut client = server.client().await;
        client.0.set_nodelay(true).expect("an open socket");
        for byte in LINE.bytes().chain(*b"hello") {
            client.send([byte]).await;
            tokio::task::yield_now().await;
        }
        client.expect("1 1.2.3.4:90 5.6.7.8:443\nhello").await;
        // A health check of the proxy.
        let mut client = server.client().await;
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await;
        let ours = client.0.local_addr().expect("bound");
        client.expect(format!("2 {ours} {}\n", server.addr())).await;
        server.tree.stop().await;
    });
}

#[test]
fn a_peer_without_a_header_is_closed_others_stay() {
    run(async {
        let mut server = start(ProxyProtocol::Required).await;
        let mut good = server.client().await;
        good.send(LINE).await;
        good.expect("1 1.2.3.4:90 5.6.7.8:443\n").await;
        for nonsense in ["GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4\r\n", "P\r\n", "\u{16}\u{3}\u{1}"] {
            let mut client = server.client().await;
            client.send(nonsense).await;
            client.closed().await;
        }
        let mut client = server.client().await;
        client.send("PROXY ").await;
        client.finish().await;
        client.closed().await;
        good.echo("still here").await;
        until(|| server.listener.active() == 1).await;
        assert_eq!(server.outside.metrics().ended.lost, 5);
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        server.tree.stop().await;
    });
}

#[test]
fn with_headers_refused_only_a_header_is_closed() {
    run(async {
        let server = start(ProxyProtocol::Refused).await;
        for header in [LINE.as_bytes(), b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let mut client = server.client().await;
            client.send(header).await;
            client.closed().await;
        }
        for bytes in ["hello", "PROX", "\r\n\r\n", "PROXYx"] {
            let mut client = server.client().await;
            let (ours, theirs) = (client.0.local_addr().expect("bound"), server.addr());
            client.send(bytes).await;
            client.finish().await;
            let rest = client.rest().await;
            assert_eq!(String::from_utf8(rest).expect("text"), format!("0 {ours} {theirs}\n{bytes}"));
        }
        server.tree.stop().await;
    });
}

#[test]
fn where_it_is_off_a_header_is_data() {
    run(async {
        let server = start(ProxyProtocol::Off).await;
        let mut client = server.client().await;
        let (ours, theirs) = (client.0.local_addr().expect("bound"), server.addr());
        client.expect(format!("0 {ours} {theirs}\n")).await;
        client.echo(LINE).await;
        server.tree.stop().await;
    });
}

#[test]
fn a_slow_header_is_closed_after_the_timeout() {
    run(async {
        let transport = Transport::new().proxy_protocol(ProxyProtocol::Required);
        let connections = Connections::new(transport.wrap(serve(announce)));
        let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
        let tree = Running::start(children).await.expect("it starts");
        pause();
        let mut remotes = Vec::new();
        for _ in 0..20 {
            let (stream, remote) = faulty([Step::Never], []);
            connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
            remotes.push(remote);
        }
        until(|| remotes.iter().all(|remote| remote.is_waited_for())).await;
        // A byte a second, and never a whole header.
        for byte in LINE.bytes().take(4) {
            advance(Duration::from_secs(1)).await;
            remotes.iter().for_each(|remote| remote.go_on([Step::Bytes(vec![byte]), Step::Never], []));
            until(|| remotes.iter().all(|remote| remote.is_waited_for())).await;
        }
        assert_eq!(connections.tracker().active(), 20);
        advance(Duration::from_millis(1100)).await;
        until(|| connections.tracker().active() == 0).await;
        assert_eq!(connections.tracker().metrics().ended.lost, 20);
        tree.stop().await;
    });
}

#[test]
fn a_silent_client_does_not_block_the_acceptor() {
    run(async {
        let transport = Transport::new().proxy_protocol(ProxyProtocol::Required);
        let server = Server::of(Listener::tcp("127.0.0.1:0", transport.wrap(serve(announce)))).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(server.client().await);
        }
        let mut client = Client::connect(server.addr()).await;
        client.send(LINE).await;
        client.expect("1 1.2.3.4:90 5.6.7.8:443\n").await;
        drop(silent);
        server.tree.stop().await;
    });
}
