//! A listener that is suspended, resumed, drained, queried and changed while it runs.

use std::io;
use std::pin::pin;
use std::time::Duration;

use impresario_server::{
    Accepted, Address, Connections, ListenSocket, Listener, Socket, Status, Suspend, SuspendError, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Client, Echo, Running, Server, run, until};

async fn refused(server: &Server<impl impresario_server::Protocol>) {
    let refused = TcpStream::connect(server.addr()).await.expect_err("no process listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

/// Ranch's `tcp_graceful`, and `status / info` of Thousand Island.
#[test]
fn suspend_refuses_keeps_connections_resume_same_port() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo);
        assert_eq!((listener.listener_ref().status(), listener.local_addr()), (Status::Stopped, None));
        let server = Server::of(listener).await;
        let (listener, addr) = (server.outside.clone(), server.addr());
        assert_eq!(listener.status(), Status::Running);
        let mut old = server.client().await;
        old.echo("before\n").await;
        for _ in 0..2 {
            listener.suspend(Suspend::CloseSockets).await.expect("it runs");
            assert_eq!(listener.status(), Status::Suspended);
            refused(&server).await;
        }
        // A suspension that keeps the sockets does not open closed ones.
        listener.suspend(Suspend::KeepSockets).await.expect("it is suspended");
        refused(&server).await;
        old.echo("meanwhile\n").await;
        assert_eq!(listener.metrics().active, 1);
        listener.set_max_connections(5);
        for _ in 0..2 {
            listener.resume().expect("its port is free");
            assert_eq!((listener.status(), server.addr()), (Status::Running, addr));
        }
        let mut new = server.client().await;
        new.echo("after\n").await;
        old.echo("after\n").await;
        assert_eq!((listener.metrics().active, listener.max_connections()), (2, 5));
        let ((), old, new) = tokio::join!(server.tree.stop(), old.rest(), new.rest());
        assert_eq!((old, new), (b"bye\n".to_vec(), b"bye\n".to_vec()));
        assert_eq!(listener.status(), Status::Stopped);
    });
}

#[test]
fn suspend_returns_when_another_caller_resumes() {
    run(async {
        let server = Server::start(|| Echo).await;
        for how in [Suspend::CloseSockets, Suspend::KeepSockets] {
            let mut suspension = pin!(server.outside.suspend(how));
            assert!(futures::poll!(suspension.as_mut()).is_pending(), "the acceptor had no turn yet");
            server.outside.resume().expect("it is suspended");
            suspension.await.expect("it was suspended");
            assert_eq!(server.outside.status(), Status::Running);
            server.client().await.echo("hello\n").await;
        }
        server.tree.stop().await;
    });
}

#[test]
fn a_drain_ends_when_its_listener_is_stopped() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", stubborn()).drain_deadline(Duration::ZERO);
        let server = Server::of(listener).await;
        let mut old = server.client().await;
        old.echo("hello\n").await;
        let mut drain = pin!(server.outside.drain(Duration::ZERO));
        assert!(futures::poll!(drain.as_mut()).is_pending(), "the client is still there");
        let root = server.tree.root.root();
        root.terminate_child("server").await.expect("there is one");
        root.restart_child("server").await.expect("its port is free");
        let mut new = server.client().await;
        new.echo("new\n").await;
        assert_eq!(drain.await.expect("it ran").closed, 0);
        new.echo("still here\n").await;
        drop((old, new));
        server.tree.stop().await;
    });
}

#[test]
fn suspended_with_kept_sockets_connects_wait() {
    run(async {
        let server = Server::start(|| Echo).await;
        server.client().await.echo("before\n").await;
        server.outside.suspend(Suspend::KeepSockets).await.expect("it runs");
        until(|| server.outside.active() == 0).await;
        let mut waiting = server.client().await;
        waiting.send("early\n").await;
        // Time in which a listener that is not suspended would accept it.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.outside.metrics().accepted, 1);
        server.outside.resume().expect("it is suspended");
        waiting.expect("early\n").await;
        // A second suspension closes the sockets that the first one kept.
        server.outside.suspend(Suspend::KeepSockets).await.expect("it runs");
        server.outside.suspend(Suspend::CloseSockets).await.expect("it is suspended");
        until(|| std::net::TcpStream::connect(server.addr()).is_err()).await;
        waiting.echo("still here\n").await;
        drop(waiting);
        server.tree.stop().await;
    });
}

#[test]
fn resume_with_a_taken_port_stays_suspended() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).add_endpoint("127.0.0.1:0")).await;
        server.outside.suspend(Suspend::CloseSockets).await.expect("it runs");
        let second = server.outside.local_addrs()[1].as_ip().expect("TCP");
        let thief = std::net::TcpListener::bind(second).expect("the port is free");
        let error = server.outside.resume().expect_err("the port is taken");
        assert!(matches!(error, SuspendError::Listen(_)));
        assert!(error.to_string().contains("address in use; stop the process that listens on it"), "{error}");
        assert_eq!(server.outside.status(), Status::Suspended);
        // The first port is free, but is closed again with the second one.
        refused(&server).await;
        drop(thief);
        server.outside.resume().expect("the port is free again");
        server.client().await.echo("hello\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn an_inherited_socket_is_not_closed_by_a_suspension() {
    run(async {
        let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let server = Server::of(Listener::on(socket, || Echo)).await;
        let error = server.outside.suspend(Suspend::CloseSockets).await.expect_err("it is inherited");
        assert!(matches!(error, SuspendError::Inherited { .. }));
        assert!(error.to_string().contains(&server.addr().to_string()), "{error}");
        assert!(server.outside.drain(None).await.is_err());
        server.client().await.echo("hello\n").await;
        server.outside.suspend(Suspend::KeepSockets).await.expect("it is kept");
        server.outside.resume().expect("it was kept");
        server.client().await.echo("hello\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn a_drained_listener_is_empty_and_serves_after_resume() {
    run(async {
        let server = Server::start(|| Echo).await;
        let mut clients = vec![server.client().await, server.client().await];
        for client in &mut clients {
            client.echo("hello\n").await;
        }
        let mut clients = clients.into_iter();
        let (one, two) = (clients.next().expect("two"), clients.next().expect("two"));
        let (drained, one, two) = tokio::join!(server.outside.drain(None), one.rest(), two.rest());
        assert_eq!(drained.expect("it runs").closed, 0);
        assert_eq!((one, two), (b"bye\n".to_vec(), b"bye\n".to_vec()));
        assert_eq!((server.outside.status(), server.outside.active()), (Status::Suspended, 0));
        refused(&server).await;
        server.outside.resume().expect("its port is free");
        let mut client = server.client().await;
        client.echo("again\n").await;
        let ((), rest) = tokio::join!(server.tree.stop(), client.rest());
        assert_eq!(rest, b"bye\n", "the former drain did not notify it");
    });
}

/// Echoes and ignores a drain.
fn stubborn() -> impl impresario_server::Protocol {
    serve(|mut socket: Socket| async move {
        while let Some(data) = socket.recv().await? {
            socket.send(data).await?;
        }
        io::Result::Ok(())
    })
}

#[test]
fn a_drain_closes_open_connections_at_its_deadline() {
    run(async {
        let server = Server::start(stubborn()).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        let drained = server.outside.drain(Duration::from_millis(10));
        let (drained, rest) = tokio::join!(drained, client.rest());
        assert_eq!((drained.expect("it runs").closed, rest.as_slice()), (1, b"".as_slice()));
        assert_eq!(server.outside.metrics().ended.stopped, 1);
        server.outside.resume().expect("its port is free");
        server.client().await.echo("again\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn a_stop_wins_over_a_drain() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", stubborn()).drain_deadline(Duration::from_millis(10));
        let server = Server::of(listener).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        let (listener, drain) = (server.outside.clone(), server.outside.clone());
        let (drained, (), rest) = tokio::join!(drain.drain(None), server.tree.stop(), client.rest());
        assert_eq!((drained.expect("it ran").closed, rest.as_slice()), (0, b"".as_slice()));
        assert_eq!(listener.status(), Status::Stopped);
        assert!(matches!(listener.resume(), Err(SuspendError::Draining)));
        assert!(matches!(listener.suspend(Suspend::CloseSockets).await, Err(SuspendError::Draining)));
        assert!(matches!(listener.drain(None).await, Err(SuspendError::Draining)));
    });
}

#[test]
fn a_dropped_drain_leaves_the_listener_suspended() {
    run(async {
        let server = Server::start(stubborn()).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        let given_up = tokio::time::timeout(Duration::from_millis(1), server.outside.drain(None)).await;
        assert!(given_up.is_err(), "the client is still there");
        assert_eq!(server.outside.status(), Status::Suspended);
        server.outside.resume().expect("its port is free");
        client.echo("still here\n").await;
        server.client().await.echo("new\n").await;
        drop(client);
        server.tree.stop().await;
    });
}

#[test]
fn a_lame_duck_accepts_and_reports_its_status() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo).lame_duck(Duration::from_secs(2));
        let mut server = Server::of(listener).await;
        let mut old = server.client().await;
        old.echo("hello\n").await;
        server.tree.root.stop();
        server.tree.log.wait_for(&["lame duck"]).await;
        assert_eq!(server.outside.status(), Status::LameDuck);
        old.echo("still here\n").await;
        let mut new = server.client().await;
        new.echo("new\n").await;
        server.tree.log.wait_for(&["draining", "connections=2"]).await;
        assert_eq!((old.rest().await, new.rest().await), (b"bye\n".to_vec(), b"bye\n".to_vec()));
        server.tree.root.stopped().await;
    });
}

/// Ranch's `misc_repeated_start_stop` and `supervisor_changed_options_restart`.
#[test]
fn a_second_start_keeps_port_and_changed_options() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(1)).await;
        let (addr, root) = (server.addr(), server.tree.root.root());
        server.outside.set_max_connections(2);
        for _ in 0..5 {
            root.terminate_child("server").await.expect("there is one");
            assert_eq!(server.outside.status(), Status::Stopped);
            refused(&server).await;
            root.restart_child("server").await.expect("its port is free");
            assert_eq!((server.addr(), server.outside.max_connections()), (addr, 2));
            let (mut one, mut two) = (server.client().await, server.client().await);
            one.echo("one\n").await;
            two.echo("two\n").await;
            drop((one, two));
            server.outside.until_active(|active| active == 0).await;
        }
        server.tree.stop().await;
    });
}

#[test]
fn a_suspended_listener_stays_so_when_an_acceptor_restarts() {
    run(async {
        let server = Server::start(|| Echo).await;
        let mut old = server.client().await;
        old.echo("hello\n").await;
        server.outside.suspend(Suspend::CloseSockets).await.expect("it runs");
        let supervisor = server.outside.supervisor();
        supervisor.terminate_child("acceptor").await.expect("there is one");
        supervisor.restart_child("acceptor").await.expect("it starts");
        assert_eq!(server.outside.status(), Status::Suspended);
        refused(&server).await;
        server.outside.resume().expect("its port is free");
        server.client().await.echo("new\n").await;
        old.echo("still here\n").await;
        drop(old);
        server.tree.stop().await;
    });
}

/// Ranch's `misc_info` and `misc_metrics`.
#[test]
fn metrics_count_accepted_and_ended() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut clients = Vec::new();
        for number in 0..20 {
            let mut client = server.client().await;
            client.echo(&"x".repeat(number + 1)).await;
            clients.push(client);
        }
        let listener = server.outside.clone();
        let infos = listener.connections();
        assert_eq!(infos.len(), 20);
        for (number, (info, client)) in infos.iter().zip(&clients).enumerate() {
            assert_eq!(info.id.number(), number as u64 + 1);
            assert_eq!(info.peer.as_ip(), client.0.local_addr().ok());
            assert_eq!((info.received, info.sent), (number as u64 + 1, number as u64 + 1));
        }
        let metrics = listener.metrics();
        assert_eq!((metrics.accepted, metrics.active, metrics.all), (20, 20, 20));
        assert_eq!((metrics.received, metrics.sent, metrics.ended.total()), (210, 210, 0));

        let mut clients = clients.into_iter();
        let mut next = || clients.next().expect("enough");
        next().finish().await;
        next().0.set_zero_linger().expect("an open socket");
        next().send("fail\n").await;
        server.tree.log.wait_for(&["asked to fail"]).await;
        next().send("panic\n").await;
        server.tree.log.wait_for(&["asked to"]).await;
        let fifth = next();
        assert!(listener.close(infos[4].id));
        fifth.closed().await;
        listener.until_active(|active| active == 15).await;
        until(|| listener.metrics().ended.total() == 5).await;
        let ended = listener.metrics().ended;
        let counts = (ended.completed, ended.lost, ended.failed, ended.crashed, ended.stopped);
        assert_eq!(counts, (1, 1, 1, 1, 1));
        assert!(!listener.close(infos[4].id), "it is closed");
        let metrics = listener.metrics();
        assert_eq!((metrics.accepted, metrics.received, metrics.sent), (20, 210 + 5 + 6, 210));
        drop(clients);
        server.tree.stop().await;
    });
}

/// Ranch's `misc_wait_for_connections`.
#[test]
fn until_active_returns_at_the_wanted_number() {
    run(async {
        let server = Server::start(|| Echo).await;
        let listener = server.outside.clone();
        listener.until_active(|active| active == 0).await;
        let clients = async {
            let mut clients = Vec::new();
            for _ in 0..10 {
                clients.push(server.client().await);
                listener.until_active(|active| active == clients.len()).await;
            }
            clients
        };
        let more_than_five = listener.until_active(|active| active > 5);
        let (mut clients, ()) = tokio::join!(clients, more_than_five);
        let fewer = listener.until_active(|active| active <= 3);
        let ((), ()) = tokio::join!(fewer, async { clients.truncate(3) });
        drop(clients);
        listener.until_active(|active| active < 1).await;
        server.tree.stop().await;
    });
}

/// `socket_reuse_test` of Thousand Island, as far as it is about several sockets.
#[test]
fn several_sockets_are_one_listener() {
    run(async {
        let inherited = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let listener =
            Listener::tcp("127.0.0.1:0", || Echo).add_endpoint("127.0.0.2:0").add_endpoint(inherited);
        let server = Server::of(listener.max_connections(2)).await;
        let addrs: Vec<_> = server.outside.local_addrs().iter().filter_map(|addr| addr.as_ip()).collect();
        assert_eq!(addrs.len(), 3);
        let mut one = Client::connect(addrs[0]).await;
        let mut two = Client::connect(addrs[1]).await;
        one.echo("one\n").await;
        two.echo("two\n").await;
        // The limit is for all sockets: an idle acceptor holds no permit.
        let mut three = Client::connect(addrs[2]).await;
        three.send("three\n").await;
        for _ in 0..10 {
            one.echo("one\n").await;
        }
        assert_eq!(server.outside.active(), 2);
        drop(two);
        three.expect("three\n").await;
        let ((), one, three) = tokio::join!(server.tree.stop(), one.rest(), three.rest());
        assert_eq!((one, three), (b"bye\n".to_vec(), b"bye\n".to_vec()));
    });
}

#[test]
fn one_taken_address_fails_the_start_and_closes_the_others() {
    run(async {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let taken = holder.local_addr().expect("bound");
        let listener = Listener::tcp("127.0.0.1:0", || Echo).add_endpoint(taken);
        let error = Running::start([listener.child_spec("server")]).await.err().expect("it is taken");
        assert!(error.to_string().contains(&format!("cannot listen on {taken}: address in use")), "{error}");
        // The first address was bound, and is closed again although the listener still exists.
        let first = listener.local_addr().expect("it was bound");
        std::net::TcpListener::bind(first).expect("no process listens");
        drop(holder);
    });
}

#[test]
fn bytes_are_counted_once_by_each_way_to_read_or_write() {
    async fn every_way(mut socket: Socket) -> io::Result<()> {
        // More than the peer's buffer: the rest is written later.
        socket.try_send([b'x'; 5000])?;
        socket.write_all(&[b'x'; 3000]).await?;
        let (first, second) = ([b'x'; 100], [b'x'; 200]);
        let slices = [io::IoSlice::new(&first), io::IoSlice::new(&second)];
        let written = socket.write_vectored(&slices).await?;
        socket.send(&[b'x'; 300][written..]).await?;
        socket.read_exact(&mut [0; 3]).await?;
        let data = socket.recv().await?.unwrap_or_default();
        // Bytes that are put back were counted at the first read.
        socket.unread(data);
        while socket.recv().await?.is_some() {}
        Ok(())
    }
    run(async {
        let connections = Connections::new(serve(every_way));
        let tree = Running::start([connections.child_spec("connections")]).await.expect("it starts");
        let (mut client, server) = tokio::io::duplex(1024);
        connections.start(Accepted::from_stream(server, Address::unnamed())).expect("it runs");
        client.read_exact(&mut [0; 8300]).await.expect("all of it");
        client.write_all(&[b'y'; 1000]).await.expect("it reads");
        client.shutdown().await.expect("still connected");
        assert_eq!(client.read(&mut [0]).await.expect("an orderly end"), 0);
        until(|| connections.tracker().metrics().ended.completed == 1).await;
        let metrics = connections.tracker().metrics();
        assert_eq!((metrics.received, metrics.sent), (1000, 8300));
        tree.stop().await;
    });
}
