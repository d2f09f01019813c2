//! The exit of one actor of a listener: which others it affects, and which not.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, WrapFuture};
use futures::FutureExt;
use impresario_actor::{ChildSpec, ExitReason, Strategy};
use impresario_server::{Acceptor, Connections, ListenSocket, Listener};
use tokio::sync::Notify;

use crate::support::{Client, Echo, Running, run, until};

/// An actor that panics when it is notified.
struct Fragile(Arc<Notify>);

impl Actor for Fragile {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let fail = Arc::clone(&self.0);
        ctx.spawn(async move { fail.notified().await }.map(|()| panic!("asked to")).into_actor(self));
    }
}

fn fragile(fail: &Arc<Notify>) -> ChildSpec {
    let fail = Arc::clone(fail);
    ChildSpec::actor("fragile", move |_| Ok(Fragile(Arc::clone(&fail))))
}

#[test]
fn an_acceptor_exit_keeps_connections_and_port() {
    run(async {
        let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let addr = socket.local_addr().as_ip().expect("TCP");
        let connections = Connections::new(|| Echo);
        let fail = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (start, failing) = (connections.clone(), Arc::clone(&fail));
        let acceptor = Acceptor::new(socket, connections.tracker(), move |accepted| {
            assert!(!failing.swap(false, std::sync::atomic::Ordering::AcqRel), "asked to");
            start.start(accepted)
        });
        let children = [
            connections.child_spec("connections"),
            acceptor.child_spec("acceptors"),
            connections.drain_spec("drain", None),
        ];
        let mut tree = Running::with(Strategy::RestForOne, children).await.expect("it starts");
        let mut old = Client::connect(addr).await;
        old.echo("hello\n").await;

        fail.store(true, std::sync::atomic::Ordering::Release);
        Client::connect(addr).await.closed().await;
        tree.log.wait_for(&["ERRO", "acceptors", "asked to"]).await;

        Client::connect(addr).await.echo("new\n").await;
        old.echo("still here\n").await;
        until(|| connections.tracker().active() == 1).await;
        // The drain was restarted with the acceptor. It still drains at a shutdown.
        let ((), rest) = tokio::join!(tree.stop(), old.rest());
        assert_eq!(rest, b"bye\n");
    });
}

#[test]
fn the_exit_of_all_connections_closes_no_socket() {
    run(async {
        // An inherited socket, which cannot be bound again.
        let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let addr = socket.local_addr().as_ip().expect("TCP");
        let listener = Listener::on(socket, || Echo);
        let mut tree = Running::start([listener.child_spec("server")]).await.expect("it starts");
        // The fourth exit exceeds the restart limit of the listener's supervisor, so that is restarted too.
        for _ in 0..4 {
            Client::connect(addr).await.echo("hello\n").await;
            let picture = tree.root.tree().await;
            let supervisor = picture.find("connections").and_then(|node| node.pid.clone()).expect("it runs");
            supervisor.kill();
            supervisor.wait_exit().await;
            // A connection before the restart is closed. The kernel refuses none.
            while !Client::connect(addr).await.try_echo("again\n").await {}
        }
        let lines = tree.log.so_far();
        assert!(lines.iter().any(|line| line.starts_with("ERRO") && line.contains("server")), "{lines:#?}");
        assert!(!lines.iter().any(|line| line.contains("draining")), "{lines:#?}");
        tree.stop().await;
    });
}

#[test]
fn a_restarted_listener_drains_and_keeps_its_port() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo);
        let fail = Arc::new(Notify::new());
        let children = [fragile(&fail), listener.child_spec("server")];
        let mut tree = Running::with(Strategy::OneForAll, children).await.expect("it starts");
        let addr = listener.local_addr().expect("it listens");
        let mut client = Client::connect(addr).await;
        client.echo("hello\n").await;

        fail.notify_one();
        assert_eq!(client.rest().await, b"bye\n");
        tree.log.wait_for(&["listening", &addr.to_string()]).await;
        assert_eq!(listener.local_addr(), Some(addr));
        let mut client = Client::connect(addr).await;
        client.echo("again\n").await;
        assert_eq!(listener.active(), 1);
        drop(client);
        tree.stop().await;
    });
}

#[test]
fn an_inherited_socket_is_used_once() {
    run(async {
        let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let addr = socket.local_addr().as_ip().expect("TCP");
        // A second descriptor of the same socket, as a child process inherits it.
        let inherited = std::os::fd::AsFd::as_fd(&socket).try_clone_to_owned().expect("a free descriptor");
        let inherited = ListenSocket::try_from(inherited).expect("it listens");
        let connections = Connections::new(|| Echo);
        let start = connections.clone();
        let acceptor = Acceptor::new(inherited, connections.tracker(), move |accepted| start.start(accepted));
        let fail = Arc::new(Notify::new());
        let children = [
            fragile(&fail),
            connections.child_spec("connections"),
            acceptor.child_spec("acceptors"),
            connections.drain_spec("drain", None),
        ];
        let mut tree = Running::with(Strategy::OneForAll, children).await.expect("it starts");
        Client::connect(addr).await.echo("hello\n").await;
        fail.notify_one();
        let line = tree.log.wait_for(&["ERRO", "acceptors"]).await;
        assert!(line.contains(&format!("cannot listen on {addr} again")), "{line}");
        let end = tree.root.stopped().await;
        assert!(matches!(end, ExitReason::GaveUp { .. }), "{end}");
        // The descriptor of the parent still listens.
        let _client = Client::connect(addr).await;
    });
}

#[test]
fn a_descriptor_that_does_not_listen_is_refused() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let error = ListenSocket::try_from(std::os::fd::OwnedFd::from(socket)).expect_err("UDP does not listen");
    assert_eq!(error.to_string(), "the inherited descriptor is not a listening stream socket");
}
